"""Rows as record batches: `COPY ... TO STDOUT (FORMAT binary)` through the wire kernel.

One statement per read. A stream that would read in slices makes one `CopyStream` statement per
slice from the same request; nothing above would notice.
"""

from __future__ import annotations

import select as polling
import time
from typing import TYPE_CHECKING, Final, Protocol

from psycopg import errors, pq
from typing_extensions import override

from rivet.dial.guarded import ANSWER_BYTES, Connection, Watch, drive, fetched
from rivet.errors import InternalError
from rivet.model.arrow import arrow_schema
from rivet.model.columns import REDACTED, Mask
from rivet.model.types import InvalidPolicy, Kind, Unit
from rivet.sources.dialect import Dialect
from rivet.sources.postgres import types
from rivet.sources.postgres.faults import translated
from rivet.sources.postgres.overrides import wire_form
from rivet.sources.postgres.receive import CopyReceiver, start_copy
from rivet.sources.rowsizes import most_bytes_of_row
from rivet.sources.sql import select, single_statement, subquery
from rivet.sources.stream import NO_LIMIT, WireStream
from rivet.wire import kernel
from rivet.wire.fields import Decoder, FieldSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from rivet.model.columns import Column
    from rivet.model.relation import ReadRequest, Relation
    from rivet.model.span import Span
    from rivet.model.types import LogicalType
    from rivet.sources.postgres.catalog import FoundTable
    from rivet.sources.postgres.printed import Printing
    from rivet.sources.postgres.unmapped import Texts
    from rivet.sources.slices import Slicer

DIALECT: Final = Dialect(
    has_dollar_quotes=True,
    has_escape_strings=True,
    has_nested_comments=True,
    rows_counted="pg_catalog.count(*)",
)
UNCHANGED: Final = "SET LOCAL client_encoding = 'SQL_ASCII'"
CONVERTED: Final = "SET LOCAL client_encoding = 'UTF8'"
_HAS_INFINITE_INTERVALS: Final = 170000
_DRAIN_TIMEOUT_S: Final = 1.0
_DECODERS: Final = {
    types.BOOL: Decoder.BOOL,
    types.INT2: Decoder.INT2,
    types.INT4: Decoder.INT4,
    types.INT8: Decoder.INT8,
    types.OID: Decoder.OID,
    types.FLOAT4: Decoder.FLOAT4,
    types.FLOAT8: Decoder.FLOAT8,
    types.NUMERIC: Decoder.DECIMAL,
    types.DATE: Decoder.DATE,
    types.TIME: Decoder.TIME,
    types.TIMESTAMP: Decoder.TIMESTAMP,
    types.TIMESTAMPTZ: Decoder.TIMESTAMP,
    types.BYTEA: Decoder.BYTES,
    types.JSONB: Decoder.JSONB,
    types.UUID: Decoder.UUID,
    types.INTERVAL: Decoder.INTERVAL,
}


class SnapshotOwner(Protocol):
    """What a stream needs of its session."""

    def cancel(self) -> None:
        """Cancel what runs on the server."""
        ...

    def abandon(self) -> None:
        """Leave the snapshot."""
        ...


def from_item(relation: Relation, found: FoundTable | None) -> str:
    """Return what follows FROM: the table as the catalog spells it, or the query."""
    if found is not None:
        return DIALECT.qualified(found.schema, found.name)
    return subquery(single_statement(relation.query or "", DIALECT))


def copy_statement(
    columns: tuple[Column, ...],
    relation: Relation,
    source: str,
    names: list[str],
    printed: Mapping[str, Printing],
    condition: str = "",
) -> str:
    """Return the COPY of a relation's columns, of the rows that a condition leaves.

    A query all of whose columns (`names`) are wanted as they are is sent as it was written.
    """
    body = select_statement(columns, relation, source, names, printed, condition)
    return f"COPY (\n{body}\n) TO STDOUT (FORMAT binary)"


def select_statement(
    columns: tuple[Column, ...],
    relation: Relation,
    source: str,
    names: list[str],
    printed: Mapping[str, Printing],
    condition: str = "",
) -> str:
    """Return the SELECT of `copy_statement`; it may end in a line comment."""
    expressions = [_expression(column, printed) for column in columns]
    plain = [DIALECT.identifier(name) for name in names]
    if relation.query is not None and expressions == plain and not condition:
        return single_statement(relation.query, DIALECT)
    if any(printed[column.source_name].settings for column in columns):
        # What the user wrote is evaluated before settings change: OFFSET keeps it by itself.
        inner = [DIALECT.identifier(column.source_name) for column in columns]
        return select(expressions, subquery(f"{select(inner, source)}{condition} OFFSET 0"))
    return select(expressions, source) + condition


def _expression(column: Column, printed: Mapping[str, Printing]) -> str:
    name, plain = DIALECT.identifier(column.name), DIALECT.identifier(column.source_name)
    printing = printed[column.source_name]
    chosen = _masked(column, plain, printing) or _selected(column, plain, printing)
    return plain if chosen == name else f"{chosen} AS {name}"


def _selected(column: Column, name: str, printing: Printing) -> str:
    match wire_form(column).cast:
        case None:
            chosen = name
        case "text":
            chosen = _text_of(column, name, printing)
        case "text[]":
            chosen = printing.texts(name)
        case "wkb":
            chosen = printing.wkb(name)
        case "wkb[]":
            chosen = printing.wkbs(name)
        case "bytea":
            # A cast to bytea reads backslashes as escapes; this gives the stored bytes.
            chosen = _bytes_of(column, name)
        case "timestamptz":
            chosen = f"({name}::timestamp AT TIME ZONE 'UTC')"
        case "timestamp" if column.native_code == types.TIMESTAMPTZ:
            chosen = f"({name} AT TIME ZONE 'UTC')"
        case cast:
            chosen = f"{name}::pg_catalog.{cast}"
    return chosen


def _bytes_of(column: Column, name: str) -> str:
    """Return the bytes of a text in the database's encoding; of character(n) with its spaces."""
    encoding = "pg_catalog.getdatabaseencoding()"
    if column.native_code != types.BPCHAR:
        return f"pg_catalog.convert_to({name}::pg_catalog.text, {encoding})"
    # A cast to text would cut the spaces off, and `concat` makes an empty text of NULL.
    data = f"pg_catalog.convert_to(pg_catalog.concat({name}), {encoding})"
    return f"CASE WHEN {name} IS NOT NULL THEN {data} END"


def _text_of(column: Column, name: str, printing: Printing) -> str:
    """Return a value's text: `true` and `false` as SQL spells them, else what the type prints."""
    return f"{name}::pg_catalog.text" if column.native_code == types.BOOL else printing.text(name)


def _masked(column: Column, name: str, printing: Printing) -> str | None:
    """Return what stands for a masked column; the plain values do not leave the server."""
    match column.mask:
        case None:
            return None
        case Mask.NULL:
            # Of the type that the decoder expects, which an array's cast has already.
            return f"CASE WHEN false THEN {_selected(column, name, printing)} END"
        case Mask.REDACT:
            return f"CASE WHEN {name} IS DISTINCT FROM NULL THEN '{REDACTED}'::pg_catalog.text END"
        case Mask.HASH:
            data = name
            if column.native_code != types.BYTEA or printing.is_array:
                data = f"pg_catalog.convert_to({_text_of(column, name, printing)}, 'UTF8')"
            return f"pg_catalog.encode(pg_catalog.sha256({data}), 'hex')"


def field_spec(column: Column, version: int) -> FieldSpec:
    """Return what the kernel is told of a planned column, of a server of this version."""
    form = wire_form(column)
    value_type = column.logical
    if value_type.kind is Kind.LIST and value_type.element is not None:
        value_type = value_type.element
    value = FieldSpec(
        name=column.name,
        decoder=_decoder(form.code, value_type, column.invalid, version),
        precision=value_type.precision or 0,
        scale=value_type.scale or 0,
        unit="ns" if value_type.unit is Unit.NANOSECOND else "us",
        invalid="null" if column.invalid is InvalidPolicy.NULL else "fail",
    )
    return FieldSpec(column.name, Decoder.ARRAY, element=value) if form.is_array else value


def _decoder(code: int, value_type: LogicalType, invalid: InvalidPolicy, version: int) -> Decoder:
    found = _DECODERS.get(code, Decoder.TEXT)
    if found is Decoder.INTERVAL:
        if version < _HAS_INFINITE_INTERVALS:
            return Decoder.FINITE_INTERVAL
        return Decoder.ANY_INTERVAL if invalid is InvalidPolicy.TEXT else found
    # What is labelled JSON is read as such by others, whatever type the server keeps it in.
    is_json = found is Decoder.TEXT and value_type.kind is Kind.JSON
    return Decoder.JSON if is_json and invalid is not InvalidPolicy.TEXT else found


class CopyStream(WireStream):
    """The batches of one COPY; the statement starts with the first batch asked for."""

    def __init__(
        self,
        owner: SnapshotOwner,
        statement: Callable[[Span | None], str],
        request: ReadRequest,
        statement_timeout_s: float,
        texts: Texts,
        slicer: Slicer | None = None,
    ) -> None:
        wire = kernel.load()
        version = texts.connection.info.server_version
        fields = [field_spec(column, version) for column in request.columns]
        schema = arrow_schema(request.columns)
        decoder = wire.CopyDecoder(fields, schema, request.max_value_bytes or NO_LIMIT)
        super().__init__(request, decoder, slicer)
        self._owner = owner
        self._connection = texts.connection
        self._statement = statement
        self._timeout_s = statement_timeout_s
        self._texts = texts
        self._is_direct = wire.is_compiled
        self._most_bytes = most_bytes_of_row(fields, request.max_value_bytes, ANSWER_BYTES)
        self._received = 0
        self._receiver: CopyReceiver | None = None

    @override
    def _begin(self, span: Span | None) -> None:
        pgconn = self._connection.pgconn
        statement = self._statement(span)
        if self._texts.is_raw:
            statement = f"{UNCHANGED};\n{statement};\n{CONVERTED}"
        watch = self._connection.watch(self._most_bytes)
        start_copy(pgconn, statement.encode(), watch)
        self._received = self._received_bytes()
        self._receiver = CopyReceiver(
            pgconn,
            self._decoder,
            is_direct=self._is_direct,
            expected_bytes=self._expected_bytes,
            watch=watch,
        )

    @override
    def _fill(self) -> bool:
        if self._receiver is None:
            msg = "rows were asked for before the statement began"
            raise InternalError(msg)
        with self._texts.named(lambda: self._counters.rows + self._decoder.rows):
            return self._receiver.fill(self._request.batch_rows, self._request.batch_bytes)

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
        # Only a statement that runs may be cancelled: a late cancel hits the next one.
        if self._connection.info.transaction_status is pq.TransactionStatus.ACTIVE:
            self._owner.cancel()
            _drain(self._connection)
        self._owner.abandon()


def _drain(connection: Connection) -> None:
    """Read away what a cancelled COPY still sends; a connection that does not end is closed."""
    pgconn = connection.pgconn
    deadline = time.monotonic() + _DRAIN_TIMEOUT_S
    try:
        while time.monotonic() < deadline:
            size, _ = pgconn.get_copy_data(1)
            if size < 0:
                left = max(0.1, deadline - time.monotonic())
                watch = Watch(pgconn.socket, patience_s=left)
                drive(fetched(pgconn), pgconn.socket, watch)
                return
            if size == 0 and _is_readable(pgconn, 0.2):
                pgconn.consume_input()
    except errors.Error:
        pass
    connection.close()


def _is_readable(pgconn: pq.abc.PGconn, timeout_s: float) -> bool:
    poll = polling.poll()
    poll.register(pgconn.socket, polling.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
