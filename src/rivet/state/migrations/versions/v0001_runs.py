"""Runs, their chunks and parts, and what an export remembers between runs."""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade(schema: str | None = None) -> None:
    """Make the tables.

    Args:
        schema: The schema they are made in; None where the database has none.
    """
    import sqlalchemy as sa
    from alembic import op

    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    runs = "runs" if schema is None else f"{schema}.runs"

    op.create_table(
        "runs",
        sa.Column("sequence", number, sa.Identity(), primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False, unique=True),
        sa.Column("export_name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("destination_type", sa.Text, nullable=False),
        sa.Column("destination_uri", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("compression", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("tuning_profile", sa.Text, nullable=False),
        sa.Column("batch_size", number, nullable=False),
        sa.Column("rivet_version", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", number, nullable=False),
        sa.Column("plan_json", sa.Text, nullable=False),
        sa.Column("recorded_parts", number, nullable=False, server_default="0"),
        sa.Column("manifest_at", instant),
        sa.Column("superseded_by", sa.Text),
        sa.Column("finished_at", instant),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("skip_reason", sa.Text),
        sa.Column("total_rows", number),
        sa.Column("total_files", number),
        sa.Column("bytes_written", number),
        sa.Column("bytes_read", number),
        sa.Column("duration_ms", number),
        sa.Column("peak_rss_mb", number),
        sa.Column("retries", number),
        sa.Column("longest_statement_s", sa.Double),
        sa.Column("is_validated", number),
        sa.Column("schema_changed", number),
        sa.Column("quality_passed", number),
        schema=schema,
    )
    op.create_index("runs_by_export", "runs", ["export_name", "sequence"], schema=schema)
    running = sa.text("status = 'running'")
    op.create_index(
        "runs_one_running",
        "runs",
        ["export_name"],
        unique=True,
        schema=schema,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_table(
        "chunks",
        sa.Column("run_id", sa.Text, sa.ForeignKey(f"{runs}.run_id"), primary_key=True),
        sa.Column("chunk_index", number, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lower_bound", sa.Text),
        sa.Column("upper_bound", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("claim_number", number, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("updated_at", instant, nullable=False),
        schema=schema,
    )
    op.create_table(
        "parts",
        sa.Column("run_id", sa.Text, sa.ForeignKey(f"{runs}.run_id"), primary_key=True),
        sa.Column("part_id", number, primary_key=True),
        sa.Column("export_name", sa.Text, nullable=False),
        sa.Column("chunk_index", number, nullable=False),
        sa.Column("claim_number", number, nullable=False),
        sa.Column("ordinal", number, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("is_void", number, nullable=False, server_default="0"),
        sa.Column("row_count", number, nullable=False),
        sa.Column("size_bytes", number, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("content_md5", sa.Text, nullable=False),
        sa.Column("columns_json", sa.Text, nullable=False),
        sa.Column("recorded_at", instant, nullable=False),
        sa.UniqueConstraint("run_id", "chunk_index", "claim_number", "ordinal"),
        schema=schema,
    )
    op.create_table(
        "watermarks",
        sa.Column("export_name", sa.Text, primary_key=True),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("position_text", sa.Text, nullable=False),
        sa.Column("is_approximate", number, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("part_id", number),
        sa.Column("updated_at", instant, nullable=False),
        schema=schema,
    )
    op.create_table(
        "schemas",
        sa.Column("export_name", sa.Text, primary_key=True),
        sa.Column("columns_json", sa.Text, nullable=False),
        sa.Column("updated_at", instant, nullable=False),
        schema=schema,
    )
