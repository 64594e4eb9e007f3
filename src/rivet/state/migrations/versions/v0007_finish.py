"""What a run is about to publish and has published, and what was observed of its rows."""

from __future__ import annotations

revision = "0007"
down_revision = "0006"


def upgrade(schema: str | None = None) -> None:
    """Add the column and the tables.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

    op.add_column("runs", sa.Column("finish_json", sa.Text), schema=schema)
    op.create_table(
        "publications",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("publisher", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("published_at", instant, nullable=False),
        schema=schema,
    )
    op.create_table(
        "observations",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("chunk_index", number, primary_key=True, autoincrement=False),
        sa.Column("body_json", sa.Text, nullable=False),
        schema=schema,
    )
