"""What PostgreSQL knows of time: its clock, and the oldest transaction that may still write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rivet.model.window import Horizon, Lack
from rivet.sources.postgres.asked import asked_row

if TYPE_CHECKING:
    import psycopg

# The statement's own time: whatever begins later than that is not older than the window. Nothing
# here depends on the zone or the date style of a session, a role or a client.
_ASK: Final = """
    SELECT {now}, {oldest}, open.shown, open.unnamed, {replayed}, recovery.is_on,
        prepared.at IS NOT NULL
    FROM (
        SELECT min(xact_start) FILTER (
                WHERE xact_start IS NOT NULL
                  AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'walsender')),
            coalesce(bool_and(coalesce(state, '') <> 'disabled')
                FILTER (WHERE datname = current_database()), true),
            coalesce(bool_or(backend_type IS NULL)
                FILTER (WHERE datname = current_database()), false)
        FROM pg_catalog.pg_stat_activity
        WHERE pid <> pg_catalog.pg_backend_pid()
          AND (datname IS NULL OR datname = current_database())
    ) AS open (began, shown, unnamed)
    CROSS JOIN (SELECT pg_catalog.pg_is_in_recovery()) AS recovery (is_on)
    CROSS JOIN (
        SELECT min(prepared) FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()
    ) AS prepared (at)"""
# While the primary is idle nothing is replayed: then it is what it said last that tells the time.
_REPLAYED: Final = """greatest(pg_catalog.pg_last_xact_replay_timestamp(), (
        SELECT last_msg_send_time FROM pg_catalog.pg_stat_wal_receiver
        WHERE pg_catalog.pg_last_wal_replay_lsn() >= latest_end_lsn))"""
_TEXT: Final = "pg_catalog.to_char(({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
_QUESTION: Final = _ASK.format(
    now=_TEXT.format("pg_catalog.statement_timestamp()"),
    oldest=_TEXT.format("least(open.began, prepared.at)"),
    replayed=_TEXT.format(_REPLAYED),
)
_RIGHTS: Final = Lack("other users' transactions cannot be seen", "grant pg_read_all_stats")
_HIDDEN: Final = Lack(
    "a session hides when its transaction began", "set `track_activities = on` for its role"
)
_PREPARED: Final = Lack(
    "a prepared transaction is open, and when it began is not known",
    "end it with COMMIT PREPARED or ROLLBACK PREPARED",
)
_STANDBY: Final = Lack(
    "the server is a standby, and its primary's transactions cannot be seen",
    "read from the primary",
)
_NOTHING_REPLAYED: Final = Lack(
    "the standby cannot tell how far it has followed its primary",
    "read from the primary",
    settles=False,
)


def horizon_of(connection: psycopg.Connection[Any], *, is_zoned: bool) -> Horizon:
    """Return the server's clock and its oldest open transaction; see `Session.commit_horizon`.

    A wall clock is taken for one in UTC until its zone is said: the zone of a session is that of
    whoever opened it.

    Source:
        PostgreSQL manual, "pg_stat_activity", "pg_prepared_xacts" and "Recovery Information
        Functions".
    """
    row = asked_row(connection, _QUESTION)
    now, oldest, is_shown, is_unnamed, replayed, is_standby, prepared = row or (None,) * 7
    clock = _instant(now) or datetime.now(UTC)
    offset = "+00" if is_zoned else ""
    if is_standby:
        last = _instant(replayed)
        lacks = (_STANDBY,) if last else (_STANDBY, _NOTHING_REPLAYED)
        return Horizon(min(clock, last or clock), None, lacks, offset)
    found = ((_RIGHTS, is_unnamed), (_HIDDEN, not is_shown), (_PREPARED, prepared))
    return Horizon(clock, _instant(oldest), tuple(one for one, holds in found if holds), offset)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
