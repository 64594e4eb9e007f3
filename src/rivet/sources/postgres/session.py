"""A session on PostgreSQL: short transactions for questions, one snapshot for reads."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

import psycopg
from psycopg.pq import TransactionStatus
from typing_extensions import override

from rivet.model.source import Position, SharedSnapshot
from rivet.model.span import ProbeKind, SpanKind
from rivet.redact import visible
from rivet.sources.postgres.catalog import (
    FoundTable,
    find_table,
    query_columns,
    table_columns,
    table_facts,
)
from rivet.sources.postgres.changed import refuse_changed_columns
from rivet.sources.postgres.cursor import CursorStream
from rivet.sources.postgres.escapes import statement_of
from rivet.sources.postgres.faults import translated
from rivet.sources.postgres.grants import within_grants
from rivet.sources.postgres.jsonness import judged_columns
from rivet.sources.postgres.keys import KeySpelling, blocks_of, with_keys
from rivet.sources.postgres.locking import Grip, grip_of, hold, hold_present, lock
from rivet.sources.postgres.printed import printings, set_chosen
from rivet.sources.postgres.read import (
    DIALECT,
    CopyStream,
    copy_statement,
    from_item,
    select_statement,
)
from rivet.sources.postgres.repeats import CatalogDefinitions
from rivet.sources.postgres.server_info import TellsOfServer
from rivet.sources.postgres.unmapped import Texts
from rivet.sources.postgres.visibility import hidden_behind_query, hidden_behind_table
from rivet.sources.postgres.waiting import LONG_WAIT_S, execute_within
from rivet.sources.repeats import doubt_of
from rivet.sources.seek import question_sql, where
from rivet.sources.slices import BlockSlicer, SliceSizer, along_key
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from rivet.dial.guarded import Connection
    from rivet.model.columns import Column, ColumnRules
    from rivet.model.relation import Doubt, KeyProbe, ReadRequest, Relation, TableFacts
    from rivet.model.source import SessionSettings
    from rivet.model.span import Span
    from rivet.sources.postgres.catalog import NativeColumn
    from rivet.sources.slices import Slicer

_PINNED: Final = (
    "client_encoding = 'UTF8'",
    "idle_in_transaction_session_timeout = 0",
    # Nobody reads them, and a view may raise one for each row.
    "client_min_messages = error",
    # A scan that begins where another one is gives rows in an order of its own each time.
    "synchronize_seqscans = off",
)
_HAS_TRANSACTION_TIMEOUT: Final = 170000
_HAS_CLIENT_CHECK: Final = 140000
_CLIENT_CHECK: Final = "client_connection_check_interval = '5s'"
_CANCEL_TIMEOUT_S: Final = 1.0
_EXPORT: Final = "SELECT pg_catalog.pg_export_snapshot()"
_FIX: Final = "SELECT pg_catalog.pg_current_snapshot()"


class PostgresSession(TellsOfServer):
    """One connection. Questions run in transactions of their own; `read` opens the snapshot.

    The transaction of the first read stays open until the session ends, so that later reads and
    counts see the same instant. Only `cancel` may be called from another thread.

    What queries and views mean by a setting is the role's affair or the user's (`source.session`):
    only encoding and time limits are Rivet's, see docs/adr/0023.
    """

    def __init__(self, connection: Connection, settings: SessionSettings) -> None:
        self._connection: Connection = connection
        self._settings = settings
        self._has_snapshot = False
        self._found: dict[Relation, FoundTable] = {}
        self._facts: dict[Relation, TableFacts] = {}
        self._held: Grip | None = None
        self._is_occupied = False
        self._given_up = threading.Event()
        connection.patience_s = settings.read_timeout_s
        connection.is_stopped = self._is_stopped
        connection.end_wait_s = settings.end_wait_s
        connection.keep_end = settings.keep_end
        self._version = connection.info.server_version
        self._checks_client = self._version >= _HAS_CLIENT_CHECK

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection.info.transaction_status is TransactionStatus.ACTIVE:
            self.cancel()
        self._connection.close()

    def facts(self, relation: Relation) -> TableFacts:
        """Read estimates and the primary key; a query has none."""
        from rivet.model.relation import TableFacts

        with self._question(f"looking up {visible(relation.label)}") as connection:
            if relation.table is None:
                query = statement_of(connection, relation.query or "")
                return TableFacts(hidden=hidden_behind_query(connection, query))
            found = self._found.get(relation) or find_table(connection, relation)
            facts = table_facts(connection, found)
            facts = with_keys(connection, found, facts)
            blocks = blocks_of(connection, found)
            facts = replace(facts, blocks=blocks, hidden=hidden_behind_table(connection, found))
            self._facts[relation] = within_grants(connection, found, facts)
        return self._facts[relation]

    def columns(self, relation: Relation, rules: ColumnRules) -> tuple[Column, ...]:
        """Describe a relation's columns under the user's rules.

        Reads no data unless `types: {json: check}` asks for it.
        """
        with self._question(f"describing {visible(relation.label)}") as connection:
            natives, found = self._describe(connection, relation)
            source = from_item(relation, found)
            columns = judged_columns(connection, natives, rules, source, relation.label)
        if found is not None:
            self._found[relation] = found
        return columns

    def read(self, request: ReadRequest) -> CopyStream | CursorStream:
        """Start reading a relation in this session's snapshot.

        A table is locked against dropping and truncating before the snapshot is taken, and its
        columns are compared with the planned ones inside it.
        """
        relation = request.relation
        action = f"reading {visible(relation.label)}"
        with self._guarded(action):
            self._open_snapshot(relation)
            natives, found = self._describe(self._connection, relation)
            refuse_changed_columns(natives, request)
            source = from_item(relation, found)
            spelling = KeySpelling.of(self._connection, natives, has_blocks=found is not None)
            wanted = {column.source_name for column in request.columns}
            printed = printings(self._connection, natives, wanted)
            slicer = self._slicer(request, found)
        names = [native.name for native in natives]

        def statement(span: Span | None) -> str:
            spans = request.spans if span is None else (*request.spans, span)
            condition = where(spans, spelling)
            return copy_statement(request.columns, relation, source, names, printed, condition)

        def ask(statement: str) -> Sequence[Any] | None:
            self.abandon()
            with self._question(action) as connection:
                return connection.execute(statement.encode()).fetchone()

        texts = Texts(self._connection, request.columns, source, ask)
        timeout_s = self._settings.statement_timeout_s
        if request.fetch_rows and relation.query is not None:
            condition = where(request.spans, spelling)
            select = select_statement(request.columns, relation, source, names, printed, condition)
            return CursorStream(self, select, request, timeout_s, texts)
        return CopyStream(self, statement, request, timeout_s, texts, slicer)

    def _slicer(self, request: ReadRequest, found: FoundTable | None) -> Slicer | None:
        """Return how a table is read in slices; None where one statement has to do.

        By blocks, unless a span lets an index find its rows: then along that index.
        """
        if found is None or not request.slice_s:
            return None
        facts = self._facts.get(request.relation) or self.facts(request.relation)
        pace = SliceSizer(request.slice_s, request.slice_bytes, request.slice_rows)
        kinds = {span.kind: span for span in request.spans}
        key = kinds.get(SpanKind.KEY)
        if key is not None and key.columns[0] in facts.indexed:
            return along_key(self.probe_keys, request.relation, facts, key, pace)
        if facts.blocks is None:
            return None
        return BlockSlicer(facts.blocks, kinds.get(SpanKind.BLOCKS), pace, facts.estimated_rows)

    def probe_keys(self, question: KeyProbe) -> list[tuple[str, ...]]:
        """Say where the values of a key lie, see `AnswersKeyProbes`."""
        relation = question.relation
        with self._question(f"looking for keys of {visible(relation.label)}") as connection:
            natives, found = self._describe(connection, relation)
            spelling = KeySpelling.of(connection, natives, has_blocks=found is not None)
            statement = question_sql(question, from_item(relation, found), spelling, DIALECT)
            rows = connection.execute(statement.encode()).fetchall()
        if question.place in {ProbeKind.NULL, ProbeKind.ORDER, ProbeKind.EXTREMES}:
            return [(str(value),) for (value,) in rows]
        return [spelling.texts(question.columns, row) for row in rows]

    def doubt(self, relation: Relation) -> Doubt | None:
        """Return why a relation's rows may differ each time, see `JudgesRepeats`."""
        with self._question(f"looking up what {visible(relation.label)} reads") as connection:
            return doubt_of(relation, DIALECT, CatalogDefinitions(connection))

    def begin(self, relation: Relation, others: Sequence[PostgresSession] = ()) -> Position | None:
        """Enter a snapshot and hand it to other sessions, see `HasSnapshots`.

        Every session locks what it reads: this one before its snapshot is taken, the others at
        once, while this one's lock still keeps everybody from dropping or rewriting it.

        Source:
            PostgreSQL manual, "SET TRANSACTION" and "Snapshot Synchronization Functions".
        """
        # Asked before the snapshot: whoever follows the log from there misses nothing.
        position = self.position()
        with self._guarded(f"taking a snapshot of {visible(relation.label)}"):
            self._open_snapshot(relation)
            row = self._connection.execute(_EXPORT if others else _FIX).fetchone()
            token = str(row[0]) if row else ""
        for other in others:
            other.enter(token, self._held or self._grip(relation))
        return position

    def enter(self, token: str, grip: Grip) -> None:
        """Enter a snapshot that another session has exported and still is in."""
        with self._guarded(f"entering the snapshot of {visible(grip.relation.label)}"):
            self._begin()
            literal = psycopg.sql.Literal(token).as_string(self._connection)
            self._connection.execute(f"SET TRANSACTION SNAPSHOT {literal}".encode())
            lock(self._connection, grip, " NOWAIT")
            self._has_snapshot = True

    def export_snapshot(self, relations: Sequence[Relation]) -> SharedSnapshot:
        """Enter a snapshot of several relations and export it, see `ExportsSnapshots`."""
        position = self.position()

        def grip(relation: Relation) -> Grip:
            with self._guarded(f"looking up {visible(relation.label)}"):
                return self._grip(relation)

        with self._guarded("taking a snapshot of all exports"):
            hold_present(self._connection, relations, grip, self._begin, self._roll_back)
            self._has_snapshot = True
            row = self._connection.execute(_EXPORT).fetchone()
        return SharedSnapshot(str(row[0]) if row else "", position)

    def import_snapshot(self, relation: Relation, snapshot: SharedSnapshot) -> None:
        """Enter the snapshot of another session, see `ExportsSnapshots`."""
        self.enter(snapshot.token, self._grip(relation))

    def occupy(self, wait_s: float) -> None:
        """Begin the transaction of the next question or read, see `TakesTurns`."""
        with self._guarded("waiting for a connection"):
            self._begin(wait_s)
            self._is_occupied = True

    def release(self) -> None:
        """Leave the snapshot; the next read opens another."""
        self.abandon()

    def ping(self) -> None:
        """Ask for something small, see `HasSnapshots`."""
        with self._question("asking whether it is there") as connection:
            connection.execute("SELECT 1")

    @property
    def has_snapshot(self) -> bool:
        """Whether the transaction of the first read is open."""
        return self._has_snapshot

    def count(self, relation: Relation, spans: Sequence[Span] = ()) -> int:
        """Count the rows that all spans hold; in the snapshot once a read has opened it."""
        with self._question(f"counting {visible(relation.label)}") as connection:
            natives, found = self._describe(connection, relation)
            spelling = KeySpelling.of(connection, natives, has_blocks=found is not None)
            counted = select([DIALECT.rows_counted], from_item(relation, found))
            statement = counted + where(spans, spelling)
            row = connection.execute(statement.encode()).fetchone()
        return int(row[0]) if row else 0

    def cancel(self) -> None:
        """Cancel what runs on the server; does nothing where nothing runs or it is gone."""
        self._given_up.set()
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)

    def _is_stopped(self) -> bool:
        stopped = self._settings.is_stopped
        return self._given_up.is_set() or (stopped is not None and stopped())

    def abandon(self) -> None:
        """Leave the snapshot: after a read that failed or was closed early."""
        self._has_snapshot = False
        self._roll_back()

    @override
    @contextmanager
    def _question(self, action: str) -> Iterator[psycopg.Connection[Any]]:
        """A short transaction, or the open snapshot where there is one."""
        with self._guarded(action):
            if self._has_snapshot:
                yield self._connection
                return
            self._begin()
            yield self._connection
            self._roll_back()

    @contextmanager
    def _guarded(self, action: str) -> Iterator[None]:
        """Translate errors, and leave no failed transaction behind."""
        try:
            with translated(action, statement_timeout_s=self._settings.statement_timeout_s):
                yield
        except BaseException:
            self.abandon()
            raise

    def _describe(
        self, connection: psycopg.Connection[Any], relation: Relation
    ) -> tuple[tuple[NativeColumn, ...], FoundTable | None]:
        if relation.table is not None:
            found = find_table(connection, relation)
            return table_columns(connection, found), found
        query = statement_of(connection, relation.query or "")
        return query_columns(connection, query), None

    def _open_snapshot(self, relation: Relation) -> None:
        """Lock what will be read, then let the next statement fix the snapshot."""
        if self._has_snapshot:
            return
        self._held = self._grip(relation)
        hold(self._connection, [self._held], self._begin, self._roll_back)
        self._has_snapshot = True

    def _grip(self, relation: Relation) -> Grip:
        """Return how it is locked; asks in a transaction of its own where it is not known yet."""
        found = self._found.get(relation)
        if found is not None:
            return grip_of(self._connection, relation, found)
        self._begin()
        grip = grip_of(self._connection, relation, found)
        self._roll_back()
        return grip

    def _begin(self, wait_s: float = LONG_WAIT_S) -> None:
        if self._is_occupied:
            self._is_occupied = False
            return
        self._given_up.clear()
        try:
            limit_s = min(wait_s, self._settings.read_timeout_s or wait_s)
            execute_within(self._connection, self._beginning(), limit_s, self._is_stopped)
        except psycopg.errors.InvalidParameterValue:
            # The server's operating system cannot watch client connections.
            if not self._checks_client:
                raise
            self._checks_client = False
            self._roll_back()
            self._connection.execute(self._beginning().encode())
        if self._settings.variables:
            set_chosen(self._connection, self._settings.variables)

    def _beginning(self) -> str:
        settings = [
            *_PINNED,
            f"statement_timeout = {round(self._settings.statement_timeout_s * 1000)}",
            f"lock_timeout = {round(self._settings.lock_timeout_s * 1000)}",
        ]
        if self._version >= _HAS_TRANSACTION_TIMEOUT:
            settings.append("transaction_timeout = 0")
        if self._checks_client:
            settings.append(_CLIENT_CHECK)
        statements = "; ".join(f"SET LOCAL {setting}" for setting in settings)
        return f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {statements}"

    def _roll_back(self) -> None:
        self._is_occupied = False
        if self._connection.info.transaction_status is not TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                self._connection.execute("ROLLBACK")
