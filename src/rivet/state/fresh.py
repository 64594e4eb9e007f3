"""The tables of a new state file, as the migrations make them; it needs no toolkit.

Generated from the migrations by `tests/unit/state/test_fresh.py`; never edit by hand.
"""

# ruff: noqa: E501

from __future__ import annotations

from typing import Final

REVISION: Final = "0010"

TABLES: Final = (
    "CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) )",
    "CREATE TABLE runs ( sequence INTEGER NOT NULL, run_id TEXT NOT NULL, export_name TEXT NOT NULL, status TEXT NOT NULL, started_at TEXT NOT NULL, mode TEXT NOT NULL, engine TEXT NOT NULL, destination_type TEXT NOT NULL, destination_uri TEXT NOT NULL, format TEXT NOT NULL, compression TEXT NOT NULL, fingerprint TEXT NOT NULL, tuning_profile TEXT NOT NULL, batch_size INTEGER NOT NULL, rivet_version TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, plan_json TEXT NOT NULL, recorded_parts INTEGER DEFAULT '0' NOT NULL, manifest_at TEXT, superseded_by TEXT, finished_at TEXT, error_code TEXT, error_message TEXT, skip_reason TEXT, total_rows INTEGER, total_files INTEGER, bytes_written INTEGER, bytes_read INTEGER, duration_ms INTEGER, peak_rss_mb INTEGER, retries INTEGER, longest_statement_s DOUBLE, is_validated INTEGER, schema_changed INTEGER, quality_passed INTEGER, recorded_chunks INTEGER DEFAULT '0' NOT NULL, finish_json TEXT, metrics_json TEXT, told_by TEXT, PRIMARY KEY (sequence), UNIQUE (run_id) )",
    "CREATE INDEX runs_by_export ON runs (export_name, sequence)",
    "CREATE UNIQUE INDEX runs_one_running ON runs (export_name) WHERE status = 'running'",
    "CREATE TABLE chunks ( run_id TEXT NOT NULL, chunk_index INTEGER NOT NULL, kind TEXT NOT NULL, lower_bound TEXT, upper_bound TEXT, status TEXT NOT NULL, claim_number INTEGER NOT NULL, last_error TEXT, updated_at TEXT NOT NULL, span_json TEXT, PRIMARY KEY (run_id, chunk_index), FOREIGN KEY(run_id) REFERENCES runs (run_id) )",
    "CREATE TABLE parts ( run_id TEXT NOT NULL, part_id INTEGER NOT NULL, export_name TEXT NOT NULL, chunk_index INTEGER NOT NULL, claim_number INTEGER NOT NULL, ordinal INTEGER NOT NULL, name TEXT NOT NULL, uri TEXT NOT NULL, is_void INTEGER DEFAULT '0' NOT NULL, row_count INTEGER NOT NULL, size_bytes INTEGER NOT NULL, content_hash TEXT NOT NULL, content_md5 TEXT NOT NULL, columns_json TEXT NOT NULL, recorded_at TEXT NOT NULL, instant_json TEXT, relation TEXT, PRIMARY KEY (run_id, part_id), UNIQUE (run_id, chunk_index, claim_number, ordinal), FOREIGN KEY(run_id) REFERENCES runs (run_id) )",
    "CREATE TABLE watermarks ( export_name TEXT NOT NULL, engine TEXT NOT NULL, kind TEXT NOT NULL, position_text TEXT NOT NULL, is_approximate INTEGER NOT NULL, run_id TEXT, part_id INTEGER, updated_at TEXT NOT NULL, owner_json TEXT, seal TEXT, PRIMARY KEY (export_name) )",
    "CREATE TABLE schemas ( export_name TEXT NOT NULL, columns_json TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (export_name) )",
    "CREATE TABLE journal ( sequence INTEGER NOT NULL, run_id TEXT NOT NULL, export_name TEXT NOT NULL, event_json TEXT NOT NULL, recorded_at TEXT NOT NULL, PRIMARY KEY (sequence) )",
    "CREATE INDEX journal_by_run ON journal (run_id, sequence)",
    "CREATE TABLE aggregates ( run_aggregate_id TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT NOT NULL, duration_ms INTEGER NOT NULL, config_path TEXT NOT NULL, parallel_mode TEXT NOT NULL, total_exports INTEGER NOT NULL, success_count INTEGER NOT NULL, failed_count INTEGER NOT NULL, skipped_count INTEGER NOT NULL, total_rows INTEGER NOT NULL, total_files INTEGER NOT NULL, total_bytes INTEGER NOT NULL, details_json TEXT NOT NULL, PRIMARY KEY (run_aggregate_id) )",
    "CREATE TABLE audits ( sequence INTEGER NOT NULL, export_name TEXT NOT NULL, action TEXT NOT NULL, before_json TEXT, after_json TEXT, rivet_version TEXT NOT NULL, host TEXT NOT NULL, recorded_at TEXT NOT NULL, PRIMARY KEY (sequence) )",
    "CREATE TABLE publications ( run_id TEXT NOT NULL, publisher TEXT NOT NULL, place TEXT NOT NULL, digest TEXT NOT NULL, published_at TEXT NOT NULL, PRIMARY KEY (run_id, publisher) )",
    "CREATE TABLE observations ( run_id TEXT NOT NULL, chunk_index INTEGER NOT NULL, body_json TEXT NOT NULL, PRIMARY KEY (run_id, chunk_index) )",
    "CREATE TABLE streams ( export_name TEXT NOT NULL, run_id TEXT NOT NULL, claim_number INTEGER NOT NULL, last_unit INTEGER NOT NULL, acknowledged_unit INTEGER NOT NULL, seal TEXT NOT NULL, PRIMARY KEY (export_name) )",
    "CREATE TABLE commit_units ( export_name TEXT NOT NULL, unit_number INTEGER NOT NULL, run_id TEXT NOT NULL, claim_number INTEGER NOT NULL, part_count INTEGER NOT NULL, engine TEXT NOT NULL, kind TEXT NOT NULL, position_text TEXT NOT NULL, is_approximate INTEGER NOT NULL, seal TEXT NOT NULL, recorded_at TEXT NOT NULL, PRIMARY KEY (export_name, unit_number) )",
    "CREATE INDEX runs_by_teller ON runs (told_by)",
)
