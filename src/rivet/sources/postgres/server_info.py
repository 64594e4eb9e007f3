"""What a PostgreSQL session tells of its server: places, times, load, sizes; no user data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import psycopg

from rivet.model.source import Position
from rivet.redact import visible
from rivet.sources.postgres.asked import asked_row
from rivet.sources.postgres.coverage import unproven_of
from rivet.sources.postgres.estimates import table_sizes
from rivet.sources.postgres.health import harm_of, pressure_of
from rivet.sources.postgres.horizon import horizon_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from rivet.dial.guarded import Connection
    from rivet.model.owner import SourceIdentity
    from rivet.model.relation import Relation
    from rivet.model.window import Horizon
    from rivet.sources.abilities import Pressure
    from rivet.sources.postgres.catalog import FoundTable

_FREE: Final = """
    SELECT current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int
         - (SELECT count(*)::int FROM pg_catalog.pg_stat_activity
            WHERE backend_type = 'client backend'
               OR backend_type IS NULL AND usesysid IS NOT NULL)"""  # another's type is hidden
# A limit below 0 is none; superusers are under neither.
_FREE_OF_USER: Final = """
    SELECT least(
        (SELECT r.rolconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
                                  WHERE a.usesysid = r.oid)
         FROM pg_catalog.pg_roles AS r
         WHERE r.rolname = SESSION_USER AND r.rolconnlimit >= 0 AND NOT r.rolsuper),
        (SELECT d.datconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
                                  WHERE a.datid = d.oid AND a.usesysid IS NOT NULL)
         FROM pg_catalog.pg_database AS d
         WHERE d.datname = pg_catalog.current_database() AND d.datconnlimit >= 0
           AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = SESSION_USER)))"""
_POSITION: Final = (
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"
    " ELSE pg_catalog.pg_current_wal_lsn() END::pg_catalog.text"
)


class TellsOfServer(ABC):
    """Questions about the server; the session says how a question is asked."""

    _connection: Connection
    _has_snapshot: bool
    _found: dict[Relation, FoundTable]

    @abstractmethod
    def _question(self, action: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        """Return a short transaction, or the open snapshot where there is one."""

    def estimates(self, relations: Sequence[Relation]) -> tuple[int | None, ...]:
        """Read the bytes of tables from the catalog; waits for no lock, see `EstimatesSizes`."""
        with self._question("looking up sizes") as connection:
            return table_sizes(connection, relations)

    def identity(self, relation: Relation) -> SourceIdentity:
        """Return the cluster, the database and the table, see `TellsIdentity`."""
        from rivet.sources.postgres.catalog import find_table
        from rivet.sources.postgres.identity import identity_of, unnamed_identity_of

        with self._question("asking which database it is") as connection:
            found = self._found.get(relation)
            if found is None and relation.table is not None:
                found = find_table(connection, relation)
            # A refusal would end a snapshot.
            told = None if self._has_snapshot else identity_of(connection, relation, found)
        if told is None:
            with self._question("asking which database it is") as connection:
                told = unnamed_identity_of(connection, relation, found)
        return told

    def commit_horizon(self, *, is_zoned: bool) -> Horizon:
        """Return the clock and the oldest open transaction, see `Session.commit_horizon`."""
        with self._question("asking for open transactions") as connection:
            return horizon_of(connection, is_zoned=is_zoned)

    def pressure(self) -> Pressure:
        """Return the signs of pressure, see `ReportsPressure`."""
        with self._question("asking for its load") as connection:
            return pressure_of(connection)

    def server_impact(self) -> dict[str, int]:
        """Return the database's counters, see `ReportsImpact`."""
        with self._question("asking for its counters") as connection:
            return harm_of(connection)

    def unproven(self, relation: Relation) -> str | None:
        """Return what a relation reads that has no snapshot, see `ProvesInstants`."""
        with self._question(f"looking up what {visible(relation.label)} reads") as connection:
            return unproven_of(connection, relation)

    def free_connections(self) -> int:
        """Return how many more connections the server would take from ordinary users."""
        with self._question("counting connections") as connection:
            row = asked_row(connection, _FREE)
        return int(row[0]) if row else 0

    def free_connections_of_user(self) -> int | None:
        """Return how many the role's and the database's CONNECTION LIMIT leave."""
        with self._question("counting connections") as connection:
            row = asked_row(connection, _FREE_OF_USER)
        return None if row is None or row[0] is None else int(row[0])

    def position(self) -> Position | None:
        """Return the write-ahead log position, approximate; None where it may not be asked."""
        with self._question("asking for the log position") as connection:
            try:
                # Within the snapshot a refusal must not end it: psycopg sets a savepoint there.
                with connection.transaction() if self._has_snapshot else nullcontext():
                    row = connection.execute(_POSITION).fetchone()
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
                row = None
        if row is None or row[0] is None:
            return None
        return Position("postgresql", "lsn", row[0], is_approximate=True)

    def server_version(self) -> str:
        """Return such as `PostgreSQL 16.4`."""
        reported = self._connection.info.parameter_status("server_version") or ""
        return f"PostgreSQL {visible(reported.split(' ')[0])}"
