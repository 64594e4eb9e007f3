"""A session on MySQL or MariaDB: short questions, and one read-only transaction for reads."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from pymysql.constants import ER
from pymysql.err import MySQLError

from rivet.errors import InternalError, UnsupportedPlanError
from rivet.model.relation import TableFacts
from rivet.model.source import Position
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.redact import visible
from rivet.sources.columns import refuse_changed
from rivet.sources.mysql import slots, types
from rivet.sources.mysql.align import align
from rivet.sources.mysql.catalog import (
    columns_of,
    hidden_columns,
    is_view,
    source_sql,
    table_facts,
    table_sizes,
)
from rivet.sources.mysql.coverage import unproven_of
from rivet.sources.mysql.faults import answered, error_number
from rivet.sources.mysql.grants import DENIED, granted_names, refuse_unseen, unseen_error
from rivet.sources.mysql.health import harm_of, pressure_of
from rivet.sources.mysql.horizon import horizon_of
from rivet.sources.mysql.identity import identity_of, succeeds
from rivet.sources.mysql.keys import KeySpelling, columns_in, refuse_unsorted, with_keys
from rivet.sources.mysql.keytexts import charsets_of
from rivet.sources.mysql.link import ask, ask_texts, cancel_query
from rivet.sources.mysql.overrides import DIALECT, dialect_of, plan_columns
from rivet.sources.mysql.read import ResultStream, Selection, select_statement
from rivet.sources.mysql.repeats import CatalogDefinitions
from rivet.sources.repeats import doubt_of
from rivet.sources.seek import question_sql, where
from rivet.sources.slices import SliceSizer, along_key
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from pymysql.connections import Connection

    from rivet.model.columns import Column, ColumnRules
    from rivet.model.owner import SourceIdentity
    from rivet.model.relation import Doubt, KeyProbe, ReadRequest, Relation
    from rivet.model.source import SessionSettings, SourceAddress
    from rivet.model.window import Horizon
    from rivet.sources.abilities import Pressure
    from rivet.sources.mysql.keytexts import Charset
    from rivet.sources.mysql.link import Link
    from rivet.sources.mysql.types import NativeColumn
    from rivet.sources.slices import Slicer

_NOT_TOLD: Final = frozenset({ER.UNKNOWN_SYSTEM_VARIABLE, ER.SPECIFIC_ACCESS_DENIED_ERROR})


class MysqlSession:
    """One connection. The transaction of a read ends with it unless the request holds it.

    A consistent read sees the instant of its first row, and a table it has touched cannot be
    altered or truncated until its transaction ends. Only `cancel` may be called from another
    thread.
    """

    def __init__(self, link: Link, address: SourceAddress, settings: SessionSettings) -> None:
        self._link = link
        self._address = address
        self._settings = settings
        self._has_snapshot = False
        self._holds_snapshot = False
        self._is_reading = False
        self._unproven: str | None = None
        self._facts: dict[Relation, TableFacts] = {}
        self._partial: dict[Relation, list[str]] = {}
        self._charsets: dict[Relation, dict[str, Charset]] = {}

    @property
    def _connection(self) -> Connection[Any]:
        return self._link.connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_reading:
            self.cancel()
            self.leave(is_whole=False)
        with suppress(MySQLError, OSError):
            self._connection.close()

    def facts(self, relation: Relation) -> TableFacts:
        """Read estimates and the primary key; a query has none."""
        with self._question(f"looking up {visible(relation.label)}") as connection:
            if relation.table is None:
                return TableFacts()
            facts, engine = table_facts(connection, relation)
            if relation not in self._partial or self._link.is_mariadb:
                facts = with_keys(connection, relation, facts, engine)
            else:  # of a key that may be read in part, MySQL shows a part
                facts = replace(facts, key=())
            self._facts[relation] = facts
        return self._facts[relation]

    def estimates(self, relations: Sequence[Relation]) -> tuple[int | None, ...]:
        """Read the bytes of tables from the catalog; see `EstimatesSizes`."""
        with self._question("looking up sizes") as connection:
            return table_sizes(connection, relations)

    def columns(self, relation: Relation, rules: ColumnRules) -> tuple[Column, ...]:
        """Describe a relation's columns under the user's rules, without reading data."""
        with self._question(f"describing {visible(relation.label)}") as connection:
            natives = self._columns(connection, relation)
        if relation in self._partial:
            refuse_unseen(natives, rules, relation)
        return plan_columns(natives, rules)

    def _columns(self, connection: Connection[Any], relation: Relation) -> tuple[NativeColumn, ...]:
        """Describe the columns that the user may read."""
        if relation not in self._partial:
            try:
                return columns_of(connection, relation)
            except MySQLError as error:
                if relation.table is None or error_number(error) not in DENIED:
                    raise
                names = granted_names(connection, relation)
                if not names:
                    raise
                self._partial[relation] = names
        return columns_of(connection, relation, self._partial[relation])

    def read(self, request: ReadRequest) -> ResultStream:
        """Start reading a relation in a read-only transaction: its own, or one that is held."""
        if self._is_reading:
            msg = "a MySQL session reads one relation at a time"
            raise InternalError(msg)
        relation = request.relation
        with self._question(f"reading {visible(relation.label)}") as connection:
            if not self._has_snapshot:
                connection.query("START TRANSACTION READ ONLY")
                self._has_snapshot = True
            natives = self._shown(self._columns(connection, relation))
            now = {native.name: native.spelling for native in natives}
            refuse_changed(now, request.columns, relation.label)
            slicer = self._slicer(request, natives)
            # Slices are bounded by the columns of the clustered key, if by none of the request.
            facts = self._facts.get(relation) if slicer else None
            keys = [name for key in facts.keys for name in key.columns] if facts else []
            spelling = self._spelling(relation, natives, (*columns_in(request.spans), *keys))
        self._holds_snapshot = self._holds_snapshot or request.holds_snapshot
        self._is_reading = True

        def statement(span: Span | None) -> str:
            spans = request.spans if span is None else (*request.spans, span)
            condition = where(spans, spelling)
            dialect = dialect_of(connection)
            return select_statement(request.columns, relation, natives, dialect, condition)

        timeout_s = self._settings.statement_timeout_s
        selection = Selection(natives, statement)
        return ResultStream(self, connection, selection, request, timeout_s, slicer)

    def _shown(self, natives: tuple[NativeColumn, ...]) -> tuple[NativeColumn, ...]:
        """Return columns with a mark on those that the session shows in another zone than UTC."""
        settings = self._link.settings
        if settings is None or settings.is_utc:
            return natives
        return tuple(replace(one, is_shifted=one.code == types.TIMESTAMP) for one in natives)

    def _refuse_shifted(self, natives: Iterable[NativeColumn]) -> None:
        """Refuse to choose rows by what the session shows in another zone.

        Raises:
            UnsupportedPlanError: The bounds of a TIMESTAMP are moments of UTC.
        """
        settings = self._link.settings
        shifted = sorted(one.name for one in natives if one.code == types.TIMESTAMP)
        if settings is not None and not settings.is_utc and shifted:
            name = shifted[0]
            msg = f"rows cannot be chosen by '{visible(name)}' in a session in {settings.zone}"
            hint = "remove `time_zone` from `source.session`, or choose another type of column"
            raise UnsupportedPlanError(msg, hint=hint, column=name)

    def settings_note(self, relation: Relation) -> str | None:
        """Return what a query or a view means otherwise than to others, see `TellsSettings`."""
        if self._link.settings is None:
            return None
        note = self._link.settings.note(visible(relation.label))
        if note is None or relation.table is None:
            return note
        with self._question(f"looking up {visible(relation.label)}") as connection:
            return note if is_view(connection, relation) else None

    def _slicer(self, request: ReadRequest, natives: tuple[NativeColumn, ...]) -> Slicer | None:
        """Return how a table is read in slices; None where one statement has to do.

        Along the index of the chunk's key, or along the key by which the rows lie in the file.
        """
        if request.relation.table is None or not request.slice_s:
            return None
        facts = self._facts.get(request.relation) or self.facts(request.relation)
        pace = SliceSizer(request.slice_s, request.slice_bytes, request.slice_rows)
        clustered = next((key for key in facts.keys if key.is_clustered), None)
        span = next((one for one in request.spans if one.kind is SpanKind.KEY), None)
        if span is None or span.columns[0] not in facts.indexed:
            if clustered is None:
                return None
            span = Span(SpanKind.KEY, clustered.columns)
        if any(native.is_shifted and native.name in span.columns for native in natives):
            return None
        return along_key(self.probe_keys, request.relation, facts, span, pace)

    def probe_keys(self, question: KeyProbe) -> list[tuple[str, ...]]:
        """Say where the values of a key lie, see `AnswersKeyProbes`."""
        if question.place is ProbeKind.EXTREMES:
            return []  # no column holds any
        relation = question.relation
        with self._question(f"looking for keys of {visible(relation.label)}") as connection:
            names = (*question.columns, *columns_in(question.spans), question.fallback)
            spelling = self._spelling(relation, self._columns(connection, relation), names)
            source = source_sql(relation, dialect_of(connection))
            statement = question_sql(question, source, spelling, DIALECT)
            found = ask_texts(connection, statement)
        refuse_unsorted(question.columns, found)
        return found

    def doubt(self, relation: Relation) -> Doubt | None:
        """Return why a relation's rows may differ each time, see `JudgesRepeats`."""
        with self._question(f"looking up what {visible(relation.label)} reads") as connection:
            return doubt_of(relation, dialect_of(connection), CatalogDefinitions(connection))

    def _spelling(
        self, relation: Relation, natives: tuple[NativeColumn, ...], names: Iterable[str | None]
    ) -> KeySpelling:
        """Return how conditions on columns are written: hidden ones too, texts by their charset."""
        known = {native.name: native for native in natives}
        wanted = {name for name in names if name is not None}
        folded = {name.casefold() for name in known}
        hidden = sorted(name for name in wanted if name.casefold() not in folded)
        if hidden and relation.table is not None:
            known |= {one.name: one for one in hidden_columns(self._connection, relation, hidden)}
            if relation in self._partial and (
                unseen := [one for one in hidden if one not in known]
            ):
                raise unseen_error(relation.label, unseen)
        self._refuse_shifted(known[name] for name in wanted if name in known)
        texts = {name for name in wanted if name in known and known[name].value_code == types.TEXT}
        charsets = self._charsets.setdefault(relation, {})
        if unknown := sorted(texts - charsets.keys()):
            quoted = [DIALECT.identifier(name) for name in unknown]
            source = source_sql(relation, dialect_of(self._connection))
            found = charsets_of(self._connection, source, quoted)
            charsets.update(zip(unknown, found, strict=True))
        return KeySpelling(self._connection, known, charsets)

    def begin(self, relation: Relation, others: Sequence[MysqlSession] = ()) -> Position | None:
        """Enter a snapshot, together with other sessions, see `HasSnapshots`.

        Every session touches what it reads, so that it cannot be altered or truncated until the
        transactions end.
        """
        with self._question(f"taking a snapshot of {visible(relation.label)}"):
            position = self.position()
            sessions = (self, *others)
            unproven = align([session._connection for session in sessions])  # noqa: SLF001 - its own kind
            source = source_sql(relation, dialect_of(self._connection))
            touch = DIALECT.limited(select(["1"], source), 0)
            for session in sessions:
                ask(session._connection, touch)  # noqa: SLF001
                session._has_snapshot = session._holds_snapshot = True  # noqa: SLF001
                session._unproven = unproven  # noqa: SLF001
        return position

    def identity(self, relation: Relation) -> SourceIdentity:
        """Return the server, the database and the table, see `TellsIdentity`."""
        with self._question("asking which server it is") as connection:
            return identity_of(connection, relation, is_mariadb=self._link.is_mariadb)

    def succeeds(self, history: str) -> bool:
        """Whether the server has all that another one had done, see `TakesPlaces`."""
        if self._link.is_mariadb:
            return False
        with self._question("asking for the log position") as connection:
            return succeeds(connection, history)

    def unproven(self, relation: Relation) -> str | None:
        """Return why reads may not be of one instant, see `ProvesInstants`."""
        if self._unproven is not None:
            return self._unproven
        with self._question(f"looking up what {visible(relation.label)} reads") as connection:
            return unproven_of(connection, relation, is_mariadb=self._link.is_mariadb)

    def commit_horizon(self, *, is_zoned: bool) -> Horizon:
        """Return the clock and the oldest open transaction, see `KnowsHorizon`."""
        with self._question("asking for open transactions") as connection:
            return horizon_of(connection, is_zoned=is_zoned)

    def pressure(self) -> Pressure:
        """Return the signs of pressure, see `ReportsPressure`."""
        with self._question("asking for its load") as connection:
            return pressure_of(connection)

    def server_impact(self) -> dict[str, int]:
        """Return the server's counters, see `ReportsImpact`."""
        with self._question("asking for its counters") as connection:
            return harm_of(connection)

    def free_connections(self) -> int:
        """Return how many more connections the server would take."""
        with self._question("counting connections") as connection:
            return slots.free_connections(connection)

    def free_connections_of_user(self) -> int | None:
        """Return how many the user's own limit leaves."""
        with self._question("counting connections") as connection:
            return slots.free_connections_of_user(connection)

    def release(self) -> None:
        """Leave the instant; the next read begins another."""
        self._holds_snapshot = False
        if self._has_snapshot:
            self._has_snapshot = False
            with self._question("leaving a snapshot") as connection:
                connection.query("COMMIT")

    def ping(self) -> None:
        """Ask for something small, see `HasSnapshots`: a proxy may answer a packet by itself."""
        with self._question("asking whether it is there") as connection:
            ask(connection, "SELECT 1")

    @property
    def has_snapshot(self) -> bool:
        """Whether the transaction of a read is open."""
        return self._has_snapshot

    def count(self, relation: Relation, spans: Sequence[Span] = ()) -> int:
        """Count the rows that all spans hold; in the snapshot where a read holds one."""
        with self._question(f"counting {visible(relation.label)}") as connection:
            natives = self._columns(connection, relation) if spans else ()
            spelling = self._spelling(relation, natives, columns_in(spans))
            source = source_sql(relation, dialect_of(connection))
            statement = select(["count(*)"], source) + where(spans, spelling)
            ((rows,),) = ask(connection, statement)
        return int(rows)

    def position(self) -> Position | None:
        """Return the transactions the server has logged, as GTIDs; None where it tells none."""
        name = "@@gtid_binlog_pos" if self._link.is_mariadb else "@@global.gtid_executed"
        with self._question("asking for the log position") as connection:
            try:
                ((text,),) = ask(connection, f"SELECT {name}")
            except MySQLError as error:
                if error_number(error) in _NOT_TOLD:
                    return None
                raise
        return Position("mysql", "gtid", str(text), is_approximate=True) if text else None

    def server_version(self) -> str:
        """Return such as `MariaDB 10.11.6`."""
        return self._link.title

    def proxy_note(self) -> str | None:
        """Return what a proxy that was noticed means for this session, see `NoticesProxies`."""
        return self._link.proxy_note()

    def cancel(self) -> None:
        """Cancel what runs on the server; does nothing where nothing runs or it is gone."""
        cancel_query(self._link, self._address, self._settings)

    def leave(self, *, is_whole: bool) -> None:
        """End a read: at its end, or with rows still on their way, which closes the connection."""
        self._is_reading = False
        if not is_whole:
            self._has_snapshot = False
            with suppress(MySQLError, OSError):
                self._connection._force_close()  # noqa: SLF001 - `close` would wait for the rows
        elif not self._holds_snapshot:
            self._has_snapshot = False
            self._connection.query("COMMIT")

    @contextmanager
    def _question(self, action: str) -> Iterator[Connection[Any]]:
        with answered(action, statement_timeout_s=self._settings.statement_timeout_s):
            yield self._connection
