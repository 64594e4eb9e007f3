"""How many chunks a run has, so that one that is missing from the record is missed."""

from __future__ import annotations

revision = "0006"
down_revision = "0005"


def upgrade(schema: str | None = None) -> None:
    """Add the column, and count what is there.

    Args:
        schema: The schema the tables are in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    count = sa.Column("recorded_chunks", number, nullable=False, server_default="0")
    op.add_column("runs", count, schema=schema)
    runs = sa.table("runs", sa.column("run_id"), sa.column("recorded_chunks"), schema=schema)
    chunks = sa.table("chunks", sa.column("run_id"), schema=schema)
    found = sa.select(sa.func.count()).where(chunks.c.run_id == runs.c.run_id).scalar_subquery()
    op.get_bind().execute(sa.update(runs).values(recorded_chunks=found))
