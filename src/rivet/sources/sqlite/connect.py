"""Open a SQLite file read-only; the one way every command reaches one.

Must not create the file, change it, or attach another. A database in WAL mode is the one case in
which SQLite itself makes files, the `-wal` and `-shm` that all its readers share.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from rivet.errors import InternalError, SourceQueryError
from rivet.model.window import Horizon, Lack
from rivet.sources.columns import refuse_changed
from rivet.sources.files import check_file, database_path
from rivet.sources.repeats import doubt_of
from rivet.sources.seek import ROW, question_sql, where
from rivet.sources.sqlite.catalog import DIALECT, columns_of, facts_of, name_of, source_sql
from rivet.sources.sqlite.estimates import table_sizes
from rivet.sources.sqlite.keys import KeySpelling, key_text
from rivet.sources.sqlite.moments import MOMENT_FUNCTION, moment
from rivet.sources.sqlite.read import (
    HASH_FUNCTION,
    SqliteStream,
    select_sql,
    text_hash,
)
from rivet.sources.sqlite.repeats import CatalogDefinitions
from rivet.sources.sqlite.translate import translated
from rivet.sources.sqlite.types import UNTYPED, describe
from rivet.sources.sqlite.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from rivet.model.columns import Column, ColumnRules
    from rivet.model.owner import SourceIdentity
    from rivet.model.relation import Doubt, KeyProbe, ReadRequest, Relation, TableFacts
    from rivet.model.source import Position, SessionSettings, SourceAddress
    from rivet.model.span import Span

_FOR_EVER_S: Final = 2_000_000.0
_WRITERS: Final = Lack("a SQLite file does not tell who writes to it")


def check_address(address: SourceAddress) -> None:
    """Refuse an address without a database file that may be read; nothing in it is looked at.

    Raises:
        ConfigError: It names no file, or a database in memory.
        SourceError: The file is not there or may not be read.
    """
    _checked(address)


def _checked(address: SourceAddress) -> Path:
    path = database_path(address, scheme="sqlite", title="SQLite")
    check_file(path, logs=("-journal", "-wal", "-shm"))
    return path


def connect(address: SourceAddress, settings: SessionSettings) -> SqliteSession:
    """Open a session on a file that exists.

    Args:
        address: `sqlite:///relative/to/the/config`, `sqlite:////absolute`, `sqlite:path`, or the
            path in `database`.
        settings: `lock_timeout_s` is how long a statement waits for a writer;
            `statement_timeout_s` is the most one call may spend inside SQLite.

    Raises:
        ConfigError: The address names no file.
        SourceError: The file does not exist or is not a SQLite database.
        SourceAuthError: The file may not be read.
        SourceUnavailableError: A writer holds the file.
    """
    path = _checked(address)
    watch = Watch(
        path=path,
        timeout_s=settings.statement_timeout_s,
        lock_wait_s=settings.lock_timeout_s,
        on_wait=settings.on_wait,
    )
    with translated(watch, doing="connecting"), watch.running():
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro",
            uri=True,
            timeout=settings.lock_timeout_s or _FOR_EVER_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.create_function(HASH_FUNCTION, 1, text_hash, deterministic=True)
            connection.create_function(MOMENT_FUNCTION, 1, moment, deterministic=True)
            # Without this, ATTACH in a query could still create a file.
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            connection.execute("SELECT count(*) FROM main.sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        watch.attach(connection)
    return SqliteSession(connection, watch, journal_mode)


@dataclass(slots=True)
class SqliteSession:
    """One read-only connection; every read is one transaction, one instant.

    The transaction ends with the read, because it holds up writers of a database that is not in
    WAL mode, unless the request says that it is still needed.
    """

    connection: sqlite3.Connection
    watch: Watch
    journal_mode: str
    _stream: SqliteStream | None = None
    _holds_snapshot: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        self.connection.close()

    def facts(self, relation: Relation) -> TableFacts:
        """Read the key and, after ANALYZE, the row estimate."""
        with translated(self.watch, doing=f"looking up {relation.label}"), self.watch.running():
            return facts_of(self.connection, relation)

    def estimates(self, relations: Sequence[Relation]) -> tuple[int | None, ...]:
        """Estimate the rows of tables without a scan; see `EstimatesSizes`."""
        with translated(self.watch, doing="looking up sizes"), self.watch.running():
            return table_sizes(self.connection, relations)

    def columns(self, relation: Relation, rules: ColumnRules) -> tuple[Column, ...]:
        """Describe the columns from their declared types; reads no row."""
        with translated(self.watch, doing=f"describing {relation.label}"), self.watch.running():
            declared = columns_of(self.connection, relation)
        return describe(declared, rules)

    def read(self, request: ReadRequest) -> SqliteStream:
        """Stream a relation in one transaction: its own, or the one an earlier read holds.

        Raises:
            StalePlanError: A column is gone or was declared anew since it was described.
            SourceUnavailableError: A writer holds the file.
        """
        if self._stream is not None:
            msg = "a SQLite session reads one relation at a time"
            raise InternalError(msg)
        doing = f"reading {request.relation.label}"
        self.watch.longest_s = 0.0
        with translated(self.watch, doing=doing), self.watch.running():
            if not self.connection.in_transaction:
                self.connection.execute("BEGIN")
            self._holds_snapshot = self._holds_snapshot or request.holds_snapshot
            try:
                declared = columns_of(self.connection, request.relation)
                now = {one.name: one.type or UNTYPED for one in declared}
                refuse_changed(now, request.columns, request.relation.label)
                spelling = KeySpelling.of(declared)
                condition = where(request.spans, spelling)
                cursor = self.connection.cursor()
            except BaseException:
                self._leave()
                raise
        # The statement begins with the first batch: a first row that takes long must not hold up
        # the thread that handles signals.
        statement = select_sql(request) + condition
        self._stream = SqliteStream(
            request, self.watch, cursor, self._end, statement, spelling.values
        )
        return self._stream

    def probe_keys(self, question: KeyProbe) -> list[tuple[str, ...]]:
        """Say where the values of a key lie, see `AnswersKeyProbes`."""
        relation = question.relation
        with translated(self.watch, doing=f"looking for keys of {relation.label}"):
            spelling = KeySpelling.of(columns_of(self.connection, relation))
            source = f"{source_sql(relation)} AS {ROW}"
            sql = question_sql(question, source, spelling, DIALECT)
            with self.watch.running():
                rows = self.connection.execute(sql, spelling.values).fetchall()
        return [tuple(key_text(value) for value in row) for row in rows]

    def doubt(self, relation: Relation) -> Doubt | None:
        """Return why a relation's rows may differ each time, see `JudgesRepeats`."""
        doing = f"looking up what {relation.label} reads"
        with translated(self.watch, doing=doing), self.watch.running():
            return doubt_of(relation, DIALECT, CatalogDefinitions(self.connection))

    def commit_horizon(self, *, is_zoned: bool) -> Horizon:  # noqa: ARG002 - its clock is in UTC
        """Return the clock; a file does not tell who writes to it."""
        sql = "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"
        with translated(self.watch, doing="asking for the time"), self.watch.running():
            (now,) = self.connection.execute(sql).fetchone()
        return Horizon(datetime.fromisoformat(now).replace(tzinfo=UTC), lacks=(_WRITERS,))

    def begin(self, relation: Relation, others: Sequence[SqliteSession] = ()) -> Position | None:
        """Enter one instant; a SQLite file has one reader."""
        if others:
            msg = "sessions on a SQLite file cannot be brought into one instant"
            raise SourceQueryError(msg, hint="use `parallel: 1`")
        with translated(self.watch, doing=f"reading {relation.label}"), self.watch.running():
            if not self.connection.in_transaction:
                self.connection.execute("BEGIN")
            # The instant is that of the first look at the file.
            self.connection.execute("SELECT count(*) FROM main.sqlite_master").fetchone()
        self._holds_snapshot = True
        return None

    def release(self) -> None:
        """Leave the instant; the next read begins another."""
        self._leave()

    def ping(self) -> None:
        """Ask for something small, see `HasSnapshots`."""
        with translated(self.watch, doing="asking whether it is there"), self.watch.running():
            self.connection.execute("SELECT 1").fetchone()

    @property
    def has_snapshot(self) -> bool:
        """Whether a read's transaction is open."""
        return self._holds_snapshot and self.connection.in_transaction

    def count(self, relation: Relation, spans: Sequence[Span] = ()) -> int:
        """Count the rows that all spans hold exactly."""
        with translated(self.watch, doing=f"counting {relation.label}"), self.watch.running():
            spelling = KeySpelling.of(columns_of(self.connection, relation))
            condition = where(spans, spelling)
            sql = f"SELECT count(*) FROM {source_sql(relation)} AS {ROW}{condition}"  # noqa: S608
            (rows,) = self.connection.execute(sql, spelling.values).fetchone()
        return int(rows)

    def position(self) -> Position | None:
        """Return None: a SQLite file has no history to have a place in."""
        return None

    def identity(self, relation: Relation) -> SourceIdentity:
        """Return the file and the table in it, see `TellsIdentity`."""
        from rivet.model.owner import SourceIdentity
        from rivet.sources.identity import query_name

        if relation.query is not None:
            name = query_name(relation.query)
        else:
            with translated(self.watch, doing=f"describing {relation.label}"):
                name = f"main.{name_of(self.connection, relation)}"
        return SourceIdentity(str(self.watch.path.resolve()), name)

    def cancel(self) -> None:
        """Stop the running statement; callable from any thread."""
        self.connection.interrupt()

    def server_version(self) -> str:
        """Return the version of the SQLite library."""
        return f"SQLite {sqlite3.sqlite_version}"

    def notes(self) -> tuple[str, ...]:
        """Return what the owner of the database should know about this read."""
        if self.journal_mode == "wal":
            return ()
        return ("the database is not in WAL mode: writers wait while it is read",)

    def _end(self) -> None:
        self._stream = None
        if not self._holds_snapshot:
            self._leave()

    def _leave(self) -> None:
        self._holds_snapshot = False
        with suppress(sqlite3.Error):
            self.connection.execute("ROLLBACK")
