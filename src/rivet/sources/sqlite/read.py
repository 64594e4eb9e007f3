"""Rows of a SQLite statement as record batches of bounded size.

Must not hold more than a batch of rows, and must not let a value pass that does not
fit its column.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from dataclasses import dataclass, field
from itertools import islice
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from rivet.errors import FormatError, SourceError
from rivet.model.arrow import arrow_schema
from rivet.model.columns import REDACTED, Mask
from rivet.model.types import InvalidPolicy, Kind
from rivet.sources.base import ReadCounters
from rivet.sources.seek import ROW
from rivet.sources.sqlite.catalog import quoted, source_sql
from rivet.sources.sqlite.translate import translated
from rivet.sources.sqlite.types import HAS_OWN_POLICY, IS_OVERRIDDEN
from rivet.sources.sqlite.values import UnfitError, converter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rivet.model.columns import Column
    from rivet.model.relation import ReadRequest
    from rivet.sources.sqlite.values import Convert
    from rivet.sources.sqlite.watch import Watch

_FIXED_CELL_BYTES: Final = 8
_EMPTY_BYTES: Final = getsizeof("")
_VARIABLE: Final = frozenset({Kind.STRING, Kind.JSON, Kind.BINARY, Kind.ENUM})
HASH_FUNCTION: Final = "rivet_sha256"
_INTERRUPT_AGAIN_S: Final = 0.05


def select_sql(request: ReadRequest) -> str:
    """Return the statement that reads the request's columns, in order."""
    listed = ", ".join(_expression(column) for column in request.columns)
    return f"SELECT {listed} FROM {source_sql(request.relation)} AS {ROW}"  # noqa: S608


def text_hash(value: object) -> str | None:
    """Return the SHA-256 of a value in lower hex: of a blob's bytes, else of its text in UTF-8.

    SQLite has no such function; this one runs inside this process, where the file is read anyway.
    """
    if value is None:
        return None
    data = value if isinstance(value, bytes) else str(value).encode()
    return hashlib.sha256(data).hexdigest()


def _expression(column: Column) -> str:
    name = f"{ROW}.{quoted(column.source_name)}"
    match column.mask:
        case Mask.HASH:
            text = f"CASE typeof({name}) WHEN 'blob' THEN {name} ELSE {name} || '' END"
            return f"{HASH_FUNCTION}({text})"
        case Mask.REDACT:
            return f"CASE WHEN {name} IS NOT NULL THEN '{REDACTED}' END"
        case Mask.NULL:
            return "NULL"
        case None:
            pass
    if column.logical.kind is Kind.BINARY and column.native_code & IS_OVERRIDDEN:
        # Whoever asks for bytes gets the stored bytes of a text, valid UTF-8 or not.
        return f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"
    return name


@dataclass(slots=True)
class _Builder:
    """Turns the values of one column into arrays and says where one does not fit."""

    column: Column
    convert: Convert
    max_value_bytes: int
    nulled: int = 0

    def build(self, values: Sequence[Any], first_row: int, *, has_large: bool) -> pa.Array:
        """Return the array of a batch.

        Args:
            values: The column's values.
            first_row: One-based number of the first of them in the read.
            has_large: A value may be above the limit, so each is measured.

        Raises:
            FormatError: A value does not fit, naming the column and the row.
        """
        if has_large and self.column.logical.kind in _VARIABLE:
            self._check_sizes(values, first_row)
        return self._fit(values, first_row)

    def _fit(self, values: Sequence[Any], first_row: int) -> pa.Array:
        try:
            return self.convert(values)
        except (UnfitError, pa.ArrowInvalid) as error:
            if len(values) == 1:
                return self._refuse(error, first_row)
        half = len(values) // 2
        parts = (
            self._fit(values[:half], first_row),
            self._fit(values[half:], first_row + half),
        )
        return pa.concat_arrays(parts)

    def _refuse(self, error: UnfitError | pa.ArrowInvalid, row: int) -> pa.Array:
        column = self.column
        is_range = isinstance(error, UnfitError) and error.is_range
        has_policy = is_range or column.native_code & HAS_OWN_POLICY
        if column.invalid is InvalidPolicy.NULL and has_policy:
            self.nulled += 1
            return self.convert([None])
        reason = error.reason if isinstance(error, UnfitError) else "a value that does not fit"
        msg = (
            f"column '{column.name}', row {row}: {reason} "
            f"(declared {column.native_type}, exported as {column.logical.label})"
        )
        hint = f"override it with columns: {{{column.name}: {self._wider(reason)}}}"
        # Arrow's own messages quote the value, so the chain is cut.
        raise FormatError(msg, hint=hint, column=column.name, row=row) from None

    def _wider(self, reason: str) -> str:
        is_blob_column = (
            self.column.logical.kind is Kind.BINARY
            and not self.column.native_code & IS_OVERRIDDEN
            and reason.startswith("a text")
        )
        return "binary" if is_blob_column or reason.startswith("a blob") else "text"

    def _check_sizes(self, values: Sequence[Any], first_row: int) -> None:
        for row, value in enumerate(values, first_row):
            data = value.encode() if isinstance(value, str) else value
            size = len(data) if isinstance(data, bytes) else 0
            if size > self.max_value_bytes:
                name = self.column.name
                msg = (
                    f"column '{name}', row {row}: a value of {size} bytes is above the limit "
                    f"of {self.max_value_bytes}"
                )
                raise FormatError(msg, hint="raise tuning.max_value_mb", column=name, row=row)


@dataclass(slots=True)
class SqliteStream:
    """One read in its own transaction; the transaction ends with the stream.

    A batch holds `batch_bytes` and one row at the most, or `batch_rows` rows.
    """

    request: ReadRequest
    watch: Watch
    cursor: sqlite3.Cursor
    end: Callable[[], None]
    statement: str
    values: list[Any]
    counters: ReadCounters = field(default_factory=ReadCounters)
    schema: pa.Schema = field(init=False)
    _builders: list[_Builder] = field(init=False)
    _variable: list[int] = field(init=False)
    _is_closed: bool = False
    _is_begun: bool = False
    _is_ended: bool = False
    _has_large: bool = False
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        columns = self.request.columns
        self.schema = arrow_schema(columns)
        self._variable = [i for i, c in enumerate(columns) if c.logical.kind in _VARIABLE]
        self._builders = [
            _Builder(
                column,
                converter(column.logical, is_overridden=bool(column.native_code & IS_OVERRIDDEN)),
                self.request.max_value_bytes,
            )
            for column in columns
        ]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of 1 to `batch_rows` rows.

        Raises:
            FormatError: A value does not fit its column, or a text is not UTF-8.
            SourceInterruptedError: The read was cancelled.
        """
        try:
            while rows := self._gather():
                batch = self._batch(rows)
                rows.clear()  # the driver's objects must not live as long as the batch
                yield batch
                del batch
        except SourceError:
            if not self._is_closed:
                raise
        finally:
            self.close()

    def close(self) -> None:
        """End the read and its transaction. Safe to call twice.

        From another thread than the one that iterates, this ends the iteration without an error.
        The driver crashes when a cursor is closed while another thread steps it, so that step is
        interrupted and waited for.
        """
        self._is_closed = True
        is_mine = self._turn.acquire(blocking=False)
        while not is_mine:
            self.cursor.connection.interrupt()
            is_mine = self._turn.acquire(timeout=_INTERRUPT_AGAIN_S)
        try:
            if not self._is_ended:
                self._is_ended = True
                self.cursor.close()
                self.end()
        finally:
            self._turn.release()

    def _gather(self) -> list[tuple[Any, ...]]:
        with self._turn:
            return [] if self._is_closed else self._rows()

    def _rows(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        doing = f"reading {self.request.relation.label}"
        with translated(self.watch, doing=doing), self.watch.running():
            if not self._is_begun:
                self._is_begun = True
                self.cursor.execute(self.statement, self.values)
            try:
                size = self._take(rows)
            except sqlite3.OperationalError as error:
                if hasattr(error, "sqlite_errorcode"):
                    raise
                # Only the driver's own text decoder raises without a result code; its message
                # holds the value, so neither it nor the chain to it may be shown.
                row = self.counters.rows + len(rows) + 1
                msg = f"{self._undecodable(str(error))}, row {row}: a text that is not valid UTF-8"
                hint = "override the column to binary, which keeps the stored bytes"
                raise FormatError(msg, hint=hint, row=row) from None
        self.counters.longest_statement_s = self.watch.longest_s
        # UTF-8 takes at most twice the bytes of Python's own form of a text.
        self._has_large = 0 < self.request.max_value_bytes < size * 2
        return rows

    def _take(self, rows: list[tuple[Any, ...]]) -> int:
        # The one loop over rows: only so is a batch of large values bounded to a single row.
        variable = self._variable
        room = self.request.batch_bytes
        fixed = len(self._builders) * _FIXED_CELL_BYTES - len(variable) * _EMPTY_BYTES
        size = 0
        for row in islice(self.cursor, self.request.batch_rows):
            rows.append(row)
            size += fixed
            for i in variable:
                size += getsizeof(row[i])
            if size >= room:
                break
        return size

    def _undecodable(self, message: str) -> str:
        names = [c.name for c in self.request.columns if f"column '{c.name}' with" in message]
        return f"column '{names[0]}'" if names else "a column"

    def _batch(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
        first = self.counters.rows + 1
        arrays = [
            builder.build(values, first, has_large=self._has_large)
            for builder, values in zip(self._builders, zip(*rows, strict=True), strict=True)
        ]
        self.counters.rows += len(rows)
        for builder in self._builders:
            if builder.nulled:
                self.counters.nulled[builder.column.name] = builder.nulled
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)
