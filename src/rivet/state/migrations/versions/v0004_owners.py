"""Whose a watermark is, and what people decided about the record."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"


def upgrade(schema: str | None = None) -> None:
    """Add the column and the table.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

    op.add_column("watermarks", sa.Column("owner_json", sa.Text), schema=schema)
    op.create_table(
        "audits",
        sa.Column("sequence", number, sa.Identity(), primary_key=True),
        sa.Column("export_name", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("before_json", sa.Text),
        sa.Column("after_json", sa.Text),
        sa.Column("rivet_version", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("recorded_at", instant, nullable=False),
        schema=schema,
    )
