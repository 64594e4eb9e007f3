"""Streams of changes: their commit units, and which relation a part is of."""

from __future__ import annotations

revision = "0009"
down_revision = "0008"


def upgrade(schema: str | None = None) -> None:
    """Add the column and the tables.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

    op.add_column("parts", sa.Column("relation", sa.Text), schema=schema)
    op.create_table(
        "streams",
        sa.Column("export_name", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("claim_number", number, nullable=False),
        sa.Column("last_unit", number, nullable=False),
        sa.Column("acknowledged_unit", number, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        "commit_units",
        sa.Column("export_name", sa.Text, primary_key=True),
        sa.Column("unit_number", number, primary_key=True, autoincrement=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("claim_number", number, nullable=False),
        sa.Column("part_count", number, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("position_text", sa.Text, nullable=False),
        sa.Column("is_approximate", number, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
        sa.Column("recorded_at", instant, nullable=False),
        schema=schema,
    )
