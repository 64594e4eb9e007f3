"""What happened in a run, event by event, and whole invocations."""

from __future__ import annotations

revision = "0002"
down_revision = "0001"


def upgrade(schema: str | None = None) -> None:
    """Make the tables.

    Args:
        schema: The schema they are made in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

    op.create_table(
        "journal",
        sa.Column("sequence", number, sa.Identity(), primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("export_name", sa.Text, nullable=False),
        sa.Column("event_json", sa.Text, nullable=False),
        sa.Column("recorded_at", instant, nullable=False),
        schema=schema,
    )
    op.create_index("journal_by_run", "journal", ["run_id", "sequence"], schema=schema)
    op.create_table(
        "aggregates",
        sa.Column("run_aggregate_id", sa.Text, primary_key=True),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("finished_at", instant, nullable=False),
        sa.Column("duration_ms", number, nullable=False),
        sa.Column("config_path", sa.Text, nullable=False),
        sa.Column("parallel_mode", sa.Text, nullable=False),
        sa.Column("total_exports", number, nullable=False),
        sa.Column("success_count", number, nullable=False),
        sa.Column("failed_count", number, nullable=False),
        sa.Column("skipped_count", number, nullable=False),
        sa.Column("total_rows", number, nullable=False),
        sa.Column("total_files", number, nullable=False),
        sa.Column("total_bytes", number, nullable=False),
        sa.Column("details_json", sa.Text, nullable=False),
        schema=schema,
    )
