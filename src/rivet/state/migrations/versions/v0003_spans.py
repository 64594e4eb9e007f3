"""What a chunk holds, in full, and the instant that a part was read in."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"


def upgrade(schema: str | None = None) -> None:
    """Add the columns.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    op.add_column("chunks", sa.Column("span_json", sa.Text), schema=schema)
    op.add_column("parts", sa.Column("instant_json", sa.Text), schema=schema)
