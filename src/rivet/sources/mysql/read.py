"""Rows as record batches: one SELECT, read unbuffered through the wire kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from typing_extensions import override

from rivet.errors import InternalError, RowsLostError, SourceError
from rivet.model.arrow import arrow_schema
from rivet.sources.columns import refuse_changed
from rivet.sources.mysql import types
from rivet.sources.mysql.catalog import natives_of, source_sql
from rivet.sources.mysql.coverage import lies_elsewhere
from rivet.sources.mysql.faults import translated
from rivet.sources.mysql.link import ask_texts
from rivet.sources.mysql.overrides import (
    expression,
    field_spec,
    is_selected_as_it_is,
)
from rivet.sources.mysql.receive import receive_from
from rivet.sources.mysql.warned import TOO_LONG, warnings_of
from rivet.sources.rowsizes import most_bytes_of_row
from rivet.sources.sql import select, single_statement
from rivet.sources.stream import NO_LIMIT, WireStream
from rivet.wire import kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from pymysql.connections import Connection

    from rivet.model.columns import Column
    from rivet.model.relation import ReadRequest, Relation
    from rivet.model.span import Span
    from rivet.sources.dialect import Dialect
    from rivet.sources.mysql.receive import RowReceiver
    from rivet.sources.mysql.types import NativeColumn
    from rivet.sources.slices import Slicer


# What a row may have besides its long values.
_ROOM_BYTES: Final = 16 * 1024 * 1024


class ResultOwner(Protocol):
    """What a stream needs of its session."""

    def cancel(self) -> None:
        """Cancel what runs on the server."""
        ...

    def leave(self, *, is_whole: bool) -> None:
        """Be told that the read is over, at its end or before it."""
        ...


def select_statement(
    columns: tuple[Column, ...],
    relation: Relation,
    natives: tuple[NativeColumn, ...],
    dialect: Dialect,
    condition: str = "",
) -> str:
    """Return the SELECT of a relation's columns, of the rows that a condition leaves.

    A query whose columns are all wanted as they are is sent as it was written: as a derived table
    the server might have to store its result before it sends the first row.
    """
    pairs = paired(columns, natives)
    is_whole = [column.source_name for column in columns] == [native.name for native in natives]
    is_plain = is_whole and not condition
    if relation.query is not None and is_plain and all(is_selected_as_it_is(*one) for one in pairs):
        return single_statement(relation.query, dialect)
    source = source_sql(relation, dialect)
    return select([expression(*one) for one in pairs], source) + condition


def paired(
    columns: Iterable[Column], natives: Iterable[NativeColumn]
) -> list[tuple[Column, NativeColumn]]:
    """Return each planned column with what the server says of it now."""
    found = {native.name: native for native in natives}
    return [(column, found[column.source_name]) for column in columns]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a stream sends: columns as the server describes them, and the statement of a span."""

    natives: tuple[NativeColumn, ...]
    statement: Callable[[Span | None], str]


class ResultStream(WireStream):
    """The batches of one SELECT; the statement starts with the first batch asked for."""

    def __init__(
        self,
        owner: ResultOwner,
        connection: Connection[Any],
        selection: Selection,
        request: ReadRequest,
        statement_timeout_s: float,
        slicer: Slicer | None = None,
    ) -> None:
        columns = request.columns
        self._pairs = paired(columns, selection.natives)
        fields = [field_spec(*one) for one in self._pairs]
        limit = request.max_value_bytes
        decoder = kernel.load(module="mysqlrows").RowDecoder(
            fields, arrow_schema(columns), limit or NO_LIMIT
        )
        super().__init__(request, decoder, slicer)
        self._max_row_bytes = most_bytes_of_row(fields, limit, _ROOM_BYTES) or NO_LIMIT
        self._owner = owner
        self._connection = connection
        self._statement = selection.statement
        self._timeout_s = statement_timeout_s
        self._received = self._rows_before = 0
        self._receiver: RowReceiver | None = None

    @override
    def _begin(self, span: Span | None) -> None:
        self._received = self._received_bytes()
        self._rows_before = self._counters.rows + self._decoder.rows
        self._receiver = None
        self._connection.query(self._statement(span), unbuffered=True)
        driver: Any = self._connection
        fields = driver._result.fields  # noqa: SLF001 - see docs/adr/0014
        self._receiver = receive_from(driver, self._decoder, self._max_row_bytes)
        _refuse_changed_result(natives_of(fields), self._pairs, self._request.relation.label)

    @override
    def _fill(self) -> bool:
        if self._receiver is None:
            msg = "rows were asked for before the statement began"
            raise InternalError(msg)
        request = self._request
        is_full = self._receiver.fill(request.batch_rows, request.batch_bytes)
        if not is_full:
            if self._decoder.warning_count:
                self._note_warnings(self._decoder.warning_count)
            # Neither server counts the listing of warnings: what it says is of the statement.
            if request.relation.table is not None:
                self._refuse_lost()
        return is_full

    def _refuse_lost(self) -> None:
        """Ask how many rows the server has sent: packets are numbered from 0 to 255 only.

        Not after a user's own statement, which may count otherwise (SQL_CALC_FOUND_ROWS).

        Raises:
            RowsLostError: It sent more or fewer than arrived.
        """
        arrived = self._counters.rows + self._decoder.rows - self._rows_before
        ((text,),) = ask_texts(self._connection, "SELECT FOUND_ROWS()")
        relation = self._request.relation
        # Spider counts otherwise: 1.
        if int(text) != arrived and not lies_elsewhere(self._connection, relation):
            msg = f"the server sent {int(text):,} rows of a statement, and {arrived:,} arrived"
            hint = "run it again; if it stays, connect to the server itself, not through a proxy"
            raise RowsLostError(msg, hint=hint)

    def _note_warnings(self, count: int) -> None:
        """Keep what the server says became of values.

        Raises:
            SourceError: An expression of Rivet's own gave NULL for a value.
        """
        found = warnings_of(self._connection, count)
        is_own = not all(is_selected_as_it_is(*one) for one in self._pairs)
        if is_own and TOO_LONG in found:
            msg = "a value is longer than the server's `max_allowed_packet`, and would become NULL"
            raise SourceError(msg, hint="raise `max_allowed_packet` on the server")
        self._counters.remarks.update(found.values())

    @override
    def _finish(self) -> None:
        self._owner.leave(is_whole=True)

    @override
    def _received_bytes(self) -> int:
        return self._received + (self._receiver.wire_bytes if self._receiver else 0)

    @override
    def _translated(self, action: str) -> AbstractContextManager[None]:
        return translated(action, statement_timeout_s=self._timeout_s, started_at=self._started_at)

    @override
    def _cancel(self) -> None:
        self._owner.cancel()

    @override
    def _halt(self) -> None:
        self._owner.cancel()
        self._owner.leave(is_whole=False)


def _refuse_changed_result(
    natives: tuple[NativeColumn, ...], pairs: list[tuple[Column, NativeColumn]], label: str
) -> None:
    """Compare the result's own columns with the plan: a table may change until it is read."""
    planned = [column for column, _ in pairs]
    if [native.name for native in natives] != [column.name for column in planned]:
        refuse_changed({}, planned, label)
    for native, (column, described) in zip(natives, pairs, strict=True):
        codes = {native.value_code}
        if native.value_code == types.TEXT:
            codes.add(types.JSON)  # as MariaDB keeps it
        if is_selected_as_it_is(column, described) and column.native_code not in codes:
            refuse_changed({native.name: native.spelling}, (column,), label)
