"""Who answers for a run: the invocation that has not yet ended with its report delivered."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"


def upgrade(schema: str | None = None) -> None:
    """Add the column; runs of before are taken for told.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    op.add_column("runs", sa.Column("told_by", sa.Text), schema=schema)
    op.create_index("runs_by_teller", "runs", ["told_by"], schema=schema)
