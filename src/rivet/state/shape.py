"""What the tables of a shared state look like at the newest revision, as its server tells it.

`tests/live/test_state_postgres.py` holds it against the migrations.
"""

from __future__ import annotations

from typing import Final

SHAPE: Final = (
    "SELECT pg_catalog.string_agg(told, ' ') FROM (SELECT c.relname || '.' || a.attname || ':' ||"
    " pg_catalog.replace(pg_catalog.format_type(a.atttypid, a.atttypmod), ' ', '_') AS told"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid WHERE n.nspname = 'pyrivet'"
    " AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped UNION ALL SELECT i.relname"
    " FROM pg_catalog.pg_class i JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace"
    " JOIN pg_catalog.pg_index x ON x.indexrelid = i.oid WHERE n.nspname = 'pyrivet'"
    " AND x.indisvalid UNION ALL SELECT c.relname FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'pyrivet'"
    " AND c.relkind NOT IN ('r', 'i')) AS found"
)
"""Columns with their types, whole indexes, and whatever else is in the schema."""

_TABLES: Final = {
    "aggregates": (
        "config_path:text details_json:text duration_ms:bigint failed_count:bigint "
        "finished_at:timestamp_with_time_zone parallel_mode:text run_aggregate_id:text "
        "skipped_count:bigint started_at:timestamp_with_time_zone success_count:bigint "
        "total_bytes:bigint total_exports:bigint total_files:bigint total_rows:bigint"
    ),
    "alembic_version": ("version_num:character_varying(32)"),
    "audits": (
        "action:text after_json:text before_json:text export_name:text host:text "
        "recorded_at:timestamp_with_time_zone rivet_version:text sequence:bigint"
    ),
    "chunks": (
        "chunk_index:bigint claim_number:bigint kind:text last_error:text "
        "lower_bound:text run_id:text span_json:text status:text "
        "updated_at:timestamp_with_time_zone upper_bound:text"
    ),
    "commit_units": (
        "claim_number:bigint engine:text export_name:text is_approximate:bigint kind:text "
        "part_count:bigint position_text:text recorded_at:timestamp_with_time_zone run_id:text "
        "seal:text unit_number:bigint"
    ),
    "journal": (
        "event_json:text export_name:text recorded_at:timestamp_with_time_zone "
        "run_id:text sequence:bigint"
    ),
    "parts": (
        "chunk_index:bigint claim_number:bigint columns_json:text content_hash:text "
        "content_md5:text export_name:text instant_json:text is_void:bigint name:text "
        "ordinal:bigint part_id:bigint recorded_at:timestamp_with_time_zone relation:text "
        "row_count:bigint run_id:text size_bytes:bigint uri:text"
    ),
    "observations": "body_json:text chunk_index:bigint run_id:text",
    "publications": (
        "digest:text place:text published_at:timestamp_with_time_zone publisher:text run_id:text"
    ),
    "runs": (
        "batch_size:bigint bytes_read:bigint bytes_written:bigint compression:text "
        "destination_type:text destination_uri:text duration_ms:bigint engine:text "
        "error_code:text error_message:text export_name:text fingerprint:text "
        "finish_json:text finished_at:timestamp_with_time_zone format:text host:text "
        "is_validated:bigint "
        "longest_statement_s:double_precision manifest_at:timestamp_with_time_zone "
        "metrics_json:text mode:text peak_rss_mb:bigint pid:bigint plan_json:text "
        "quality_passed:bigint "
        "recorded_chunks:bigint recorded_parts:bigint retries:bigint "
        "rivet_version:text run_id:text schema_changed:bigint sequence:bigint skip_reason:text "
        "started_at:timestamp_with_time_zone status:text superseded_by:text told_by:text "
        "total_files:bigint total_rows:bigint tuning_profile:text"
    ),
    "schemas": ("columns_json:text export_name:text updated_at:timestamp_with_time_zone"),
    "streams": (
        "acknowledged_unit:bigint claim_number:bigint export_name:text last_unit:bigint "
        "run_id:text seal:text"
    ),
    "watermarks": (
        "engine:text export_name:text is_approximate:bigint kind:text owner_json:text "
        "part_id:bigint position_text:text run_id:text seal:text "
        "updated_at:timestamp_with_time_zone"
    ),
}
_INDEXES: Final = (
    "aggregates_pkey alembic_version_pkc audits_pkey chunks_pkey commit_units_pkey "
    "journal_by_run journal_pkey observations_pkey parts_pkey "
    "parts_run_id_chunk_index_claim_number_ordinal_key "
    "publications_pkey runs_by_export runs_one_running runs_pkey runs_run_id_key schemas_pkey "
    "runs_by_teller streams_pkey watermarks_pkey"
)
WHOLE: Final = frozenset(
    [f"{table}.{told}" for table, columns in _TABLES.items() for told in columns.split()]
    + _INDEXES.split()
)
