"""What a run counted and found that has no column of its own."""

from __future__ import annotations

revision = "0008"
down_revision = "0007"


def upgrade(schema: str | None = None) -> None:
    """Add the column.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    op.add_column("runs", sa.Column("metrics_json", sa.Text), schema=schema)
