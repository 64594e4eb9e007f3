"""One configuration for each key that the reference's `schema config` names.

A case is an overlay on one export of one table: dotted paths to values; `None` takes a key away.
"""

from __future__ import annotations

import copy
from typing import Any, Final

TABLE: Final = """
CREATE TABLE events (
    id bigint PRIMARY KEY, kind text, amount numeric(12,2), day date NOT NULL,
    at timestamptz NOT NULL, later timestamptz, unix bigint NOT NULL);
INSERT INTO events
SELECT n, CASE WHEN n % 7 > 0 THEN 'kind ' || n % 5 END, n * 1.25, date '2024-01-01' + n % 3,
    timestamptz '2024-01-01' + n * interval '1 hour',
    CASE WHEN n % 3 > 0 THEN timestamptz '2024-02-01' + n * interval '1 hour' END,
    extract(epoch FROM now())::bigint - n * 60
FROM generate_series(1, 500) AS n;
ANALYZE events;
"""

INCREMENTAL: Final = {"mode": "incremental", "cursor_column": "id"}
CHUNKED: Final = {"mode": "chunked", "chunk_column": "id", "chunk_size": 100}
PLAIN: Final = {"mode": "chunked", "chunk_column": "id"}
KEYSET: Final = {"mode": "chunked", "chunk_by_key": "id", "chunk_size": 100}
WINDOW: Final = {"mode": "time_window", "time_column": "at", "days_window": 10_000}
SLACK: Final = {"slack": {"webhook_url": "http://127.0.0.1:9/none", "on": ["degraded"]}}
LOAD: Final = {"target": "bigquery", "project": "p", "dataset": "d"}


def _tuning(key: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"source.tuning": {key: value}, **more}


SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "name": {"name": "events of today"},
    "table": {},
    "query": {"table": None, "query": "SELECT id, kind FROM events WHERE id > 250"},
    "query_file": {"table": None, "query_file": "events.sql"},
    "mode: full": {"mode": "full"},
    "mode: incremental": INCREMENTAL,
    "mode: chunked": CHUNKED,
    "mode: time_window": WINDOW,
    "cursor_column (mode: full)": {"cursor_column": "id"},
    "cursor_fallback_column": {
        "mode": "incremental",
        "cursor_column": "later",
        "cursor_fallback_column": "at",
        "incremental_cursor_mode": "coalesce",
    },
    "cursor_fallback_column (mode: full)": {"cursor_fallback_column": "at"},
    "incremental_cursor_mode (mode: full)": {"incremental_cursor_mode": "single_column"},
    "incremental_cursor_mode": {**INCREMENTAL, "incremental_cursor_mode": "single_column"},
    "settle": {
        "mode": "incremental",
        "cursor_column": "at",
        "settle": {"column": "at", "after": "60s"},
    },
    "settle (mode: full)": {"settle": {"column": "at", "after": "60s"}},
    "chunk_column (mode: full)": {"chunk_column": "id"},
    "chunk_dense": {"mode": "chunked", "chunk_column": "id", "chunk_size": 90, "chunk_dense": True},
    "chunk_dense (mode: full)": {"chunk_dense": True},
    "chunk_size (mode: full)": {"chunk_size": 100},
    "chunk_size_memory_mb": {**PLAIN, "chunk_size_memory_mb": 1},
    "chunk_size_memory_mb (mode: full)": {"chunk_size_memory_mb": 1},
    "chunk_count": {**PLAIN, "chunk_count": 4},
    "chunk_count (mode: full)": {"chunk_count": 4},
    "chunk_by_days": {"mode": "chunked", "chunk_column": "day", "chunk_by_days": 2},
    "chunk_by_days (mode: full)": {"chunk_by_days": 7},
    "chunk_by_key": KEYSET,
    "chunk_by_key (mode: full)": {"chunk_by_key": "id"},
    "keyset_incremental": {**KEYSET, "keyset_incremental": True},
    "keyset_incremental (mode: full)": {"keyset_incremental": True},
    "chunk_checkpoint": {**CHUNKED, "chunk_checkpoint": True},
    "chunk_checkpoint (mode: full)": {"chunk_checkpoint": True},
    "chunk_max_attempts": {**CHUNKED, "chunk_checkpoint": True, "chunk_max_attempts": 2},
    "chunk_max_attempts (mode: full)": {"chunk_max_attempts": 2},
    "parallel": {**CHUNKED, "parallel": 2},
    "parallel (mode: full)": {"parallel": 2},
    "parallel_safe": {"parallel_safe": True},
    "wave": {"wave": 1},
    "time_column (mode: full)": {"time_column": "at"},
    "time_column_type": {**WINDOW, "time_column": "unix", "time_column_type": "unix"},
    "time_column_type (mode: full)": {"time_column_type": "unix"},
    "days_window (mode: full)": {"days_window": 3},
    "partition_by": {"partition_by": "day", "destination.path": "out/{partition}"},
    "partition_granularity (without partition_by)": {"partition_granularity": "month"},
    "format: csv": {"format": "csv"},
    "compression": {"compression": "snappy"},
    "compression (format: csv)": {"format": "csv", "compression": "zstd"},
    "compression_level": {"compression": "gzip", "compression_level": 6},
    "compression_level (compression: snappy)": {"compression": "snappy", "compression_level": 6},
    "compression_profile": {"compression_profile": "compact"},
    "compression_profile (with compression)": {
        "compression_profile": "compact",
        "compression": "gzip",
    },
    "skip_empty": {"skip_empty": True},
    "destination.path": {"destination.path": "out/{date}/{export}"},
    "destination.prefix (type: local)": {"destination.prefix": "a/"},
    "destination.type: stdout": {"format": "csv", "destination": {"type": "stdout"}},
    "destination.path (type: stdout)": {
        "format": "csv",
        "destination": {"type": "stdout", "path": "out"},
    },
    "destination.bucket (type: local)": {"destination.bucket": "b"},
    "destination.region (type: local)": {"destination.region": "r"},
    "destination.allow_anonymous (type: local)": {"destination.allow_anonymous": True},
    "destination.oneshot_budget_mb (type: local)": {"destination.oneshot_budget_mb": 8},
    "verify": {"verify": "content"},
    "meta_columns.exported_at": {"meta_columns": {"exported_at": True}},
    "meta_columns.row_hash": {"meta_columns": {"row_hash": True}},
    "meta_columns.row_hash (columns)": {"meta_columns": {"row_hash": ["id", "kind"]}},
    "quality.row_count_min": {"quality": {"row_count_min": 501}},
    "quality.row_count_max": {"quality": {"row_count_max": 499}},
    "quality.null_ratio_max": {"quality": {"null_ratio_max": {"kind": 0.1}}},
    "quality.unique_columns": {"quality": {"unique_columns": ["day"]}},
    "quality.unique_max_entries": {
        "quality": {"unique_columns": ["id"], "unique_max_entries": 100}
    },
    "quality (a column that is not there)": {"quality": {"unique_columns": ["none"]}},
    "max_file_size": {"max_file_size": "1MB"},
    "columns": {"columns": {"amount": "decimal(20,4)"}},
    "columns (a column that is not there)": {"columns": {"none": "text"}},
    "target": {"target": "bigquery"},
    "load": {"load": {"pk": ["id"]}},
    "on_schema_drift": {"on_schema_drift": "fail"},
    "shape_drift_warn_factor": {"shape_drift_warn_factor": 2.0},
    "source_group": {"source_group": "replica"},
    "reconcile_required": {"reconcile_required": True},
    "parquet.row_group_strategy": {"parquet": {"row_group_strategy": "auto"}},
    "parquet.row_group_rows": {
        "parquet": {"row_group_strategy": "fixed_rows", "row_group_rows": 100}
    },
    "parquet.row_group_rows (strategy: auto)": {
        "parquet": {"row_group_strategy": "auto", "row_group_rows": 100}
    },
    "parquet.target_row_group_mb": {
        "parquet": {"row_group_strategy": "fixed_memory", "target_row_group_mb": 8}
    },
    "parquet.max_row_group_mb": {"parquet": {"max_row_group_mb": 8}},
    "parquet (format: csv)": {"format": "csv", "parquet": {"max_row_group_mb": 8}},
    "tuning (of the export)": {"tuning": {"batch_size": 100}},
    "tuning.profile: fast": _tuning("profile", "fast"),
    "tuning.profile: safe": _tuning("profile", "safe"),
    "tuning.batch_size": _tuning("batch_size", 100),
    "tuning.batch_size_memory_mb": _tuning("batch_size_memory_mb", 8),
    "tuning.throttle_ms": _tuning("throttle_ms", 1),
    "tuning.statement_timeout_s": _tuning("statement_timeout_s", 60),
    "tuning.max_retries": _tuning("max_retries", 1),
    "tuning.retry_backoff_ms": _tuning("retry_backoff_ms", 100),
    "tuning.lock_timeout_s": _tuning("lock_timeout_s", 5),
    "tuning.memory_threshold_mb": _tuning("memory_threshold_mb", 4096),
    "tuning.max_batch_memory_mb": _tuning("max_batch_memory_mb", 256),
    "tuning.on_batch_memory_exceeded": {
        "source.tuning": {"max_batch_memory_mb": 256, "on_batch_memory_exceeded": "fail"}
    },
    "tuning.adaptive": _tuning("adaptive", True),
    "tuning.min_parallel": {**CHUNKED, "parallel": 2, "source.tuning": {"min_parallel": 1}},
    "tuning.max_value_mb": _tuning("max_value_mb", 16),
    "source.environment": {"source.environment": "local"},
    "source.tls.mode": {"source.tls": {"mode": "disable"}},
    "source.url_file": {"source.url_env": None, "source.url_file": "url.txt"},
    "source.url": {"source.url_env": None, "source.url": "${DATABASE_URL}"},
    "source.mongo (type: postgres)": {"source.mongo": {"json": "relaxed"}},
    "notifications": {"/notifications": SLACK},
    "load (of the file)": {"/load": LOAD},
    "parallel_exports": {"/parallel_exports": True},
    "parallel_export_processes": {"/parallel_export_processes": True},
}
"""Keys by name, some with the circumstance that is tried."""

ELSEWHERE: Final = {
    "source.type": "every case has one",
    "source.url_env": "every case has it",
    "source.host": "a form of address, by the tests of connections",
    "source.port": "as host",
    "source.user": "as host",
    "source.password": "as host",
    "source.password_env": "as host",
    "source.database": "as host",
    "source.tls.ca_file": "needs a server with TLS",
    "source.tls.accept_invalid_certs": "as ca_file",
    "source.tls.accept_invalid_hostnames": "as ca_file",
    "tables": "only with `mode: cdc`, which is not in this version",
    "cdc": "as tables",
}
"""Keys that no case is about, and why."""


DIFFERENT: Final = {
    "chunk_dense": "bounds are values of the column, found once, so no row is passed over",
    "days_window (mode: full)": "whoever wrote it expects the last days only",
    "partition_by": "not in this version; all rows in one place would not be what was asked for",
}
"""Keys whose exit codes differ, and why that is right."""

UNTOLD: Final = {
    key
    for key in SETTINGS
    if "(mode: full)" in key and key.split("_")[0] in {"cursor", "incremental", "parallel", "time"}
} | {
    "columns (a column that is not there)",
    "destination.bucket (type: local)",
    "destination.path (type: stdout)",
    "load (of the file)",
    "notifications",
    "parquet (format: csv)",
    "parquet.row_group_rows (strategy: auto)",
    "shape_drift_warn_factor",
    "source.mongo (type: postgres)",
    "target",
    "tuning.max_batch_memory_mb",
    "verify",
}
"""Keys that have no effect here, which must be told by name."""


def configuration(key: str) -> dict[str, Any]:
    """Return the configuration of a case."""
    export: dict[str, Any] = {
        "name": "events",
        "table": "events",
        "format": "parquet",
        "destination": {"type": "local", "path": "out"},
    }
    document: dict[str, Any] = {
        "source": {"type": "postgres", "url_env": "DATABASE_URL"},
        "exports": [export],
    }
    for path, value in copy.deepcopy(SETTINGS[key]).items():
        at: dict[str, Any] = export
        steps = path.split(".")
        if path.startswith("/") or steps[0] == "source":
            at, steps = document, path.lstrip("/").split(".")
        for step in steps[:-1]:
            at = at[step]
        if value is None:
            at.pop(steps[-1])
        else:
            at[steps[-1]] = value
    return document
