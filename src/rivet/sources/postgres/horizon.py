"""What PostgreSQL knows of time: its clock, and the oldest transaction that may still write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rivet.model.window import Horizon

if TYPE_CHECKING:
    import psycopg

# A wall clock is that of the server's own zone: writers that set another one are not known here.
_ZONE: Final = """
    (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'TimeZone')"""
_OPEN: Final = """
    SELECT min(began), bool_and(is_seen) FROM (
        SELECT xact_start AS began, true AS is_seen
        FROM pg_catalog.pg_stat_activity
        WHERE pid <> pg_catalog.pg_backend_pid() AND xact_start IS NOT NULL
          AND backend_type NOT IN ('autovacuum worker', 'walsender')
          AND (datname IS NULL OR datname = current_database())
      UNION ALL
        SELECT NULL, backend_type IS NOT NULL
        FROM pg_catalog.pg_stat_activity WHERE datname = current_database()
      UNION ALL
        SELECT prepared, true FROM pg_catalog.pg_prepared_xacts
        WHERE database = current_database()) AS found"""
_WHY_NOT: Final = "other users' transactions cannot be seen: grant pg_read_all_stats"


def horizon_of(connection: psycopg.Connection[Any], *, is_zoned: bool) -> Horizon:
    """Return the server's clock and its oldest open transaction; see `Session.horizon`.

    Source:
        PostgreSQL manual, "pg_stat_activity" and "pg_prepared_xacts".
    """
    # No cast to text: that follows the session's zone and date style.
    zone, offset = ("'UTC'", "+00") if is_zoned else (_ZONE, "")
    form = f"to_char(({{}}) AT TIME ZONE {zone}, 'YYYY-MM-DD HH24:MI:SS.US') || '{offset}'"
    now, oldest = form.format("clock.now"), form.format("open.began")
    row = connection.execute(
        f"SELECT {now}, {oldest}, open.seen FROM"  # noqa: S608 - texts of this module
        f" (SELECT pg_catalog.clock_timestamp() AS now) AS clock,"
        f" ({_OPEN}) AS open (began, seen)".encode()
    ).fetchone()
    if row is None:
        return Horizon("", None, sees_all=False, why_not=_WHY_NOT)
    return Horizon(row[0], row[1], bool(row[2]), _WHY_NOT)
