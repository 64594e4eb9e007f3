"""What PostgreSQL shows of its load and of what reading cost it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rivet.sources.abilities import Pressure
from rivet.sources.postgres.asked import asked_row

if TYPE_CHECKING:
    import psycopg

_SPLIT_STATISTICS: Final = 170000
_REQUESTED: Final = "(SELECT checkpoints_req FROM pg_catalog.pg_stat_bgwriter)"
_REQUESTED_NEW: Final = "(SELECT num_requested FROM pg_catalog.pg_stat_checkpointer)"
_LAG: Final = """
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE (
        SELECT max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(),
                   coalesce(replay_lsn, flush_lsn, write_lsn, sent_lsn)))::bigint
        FROM pg_catalog.pg_stat_replication) END,
    CASE WHEN pg_catalog.pg_is_in_recovery()
          AND pg_catalog.pg_last_wal_receive_lsn() <> pg_catalog.pg_last_wal_replay_lsn()
         THEN extract(epoch FROM now() - pg_catalog.pg_last_xact_replay_timestamp())::float END"""
_HARM: Final = """
    SELECT blks_read, blks_hit, tup_returned, tup_fetched, temp_files, temp_bytes, deadlocks
    FROM pg_catalog.pg_stat_database WHERE datname = current_database()"""
_HARM_NAMES: Final = (
    "blocks_read",
    "blocks_hit",
    "rows_returned",
    "rows_fetched",
    "temp_files",
    "temp_bytes",
    "deadlocks",
)


def pressure_of(connection: psycopg.Connection[Any]) -> Pressure:
    """Return requested checkpoints and how far replicas are behind.

    Source:
        PostgreSQL manual, "The Cumulative Statistics System".
    """
    is_new = connection.info.server_version >= _SPLIT_STATISTICS
    requested = _REQUESTED_NEW if is_new else _REQUESTED
    row = asked_row(connection, f"SELECT {requested}::bigint, {_LAG}")
    count, lag_bytes, lag_s = row if row is not None else (0, None, None)
    return Pressure(int(count or 0), "checkpoints on request", lag_bytes, lag_s)


def harm_of(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Return the database's counters, over everybody's work."""
    row = asked_row(connection, _HARM)
    values = row if row is not None else (0,) * len(_HARM_NAMES)
    return {name: int(value or 0) for name, value in zip(_HARM_NAMES, values, strict=True)}
