"""PostgreSQL's COPY BINARY stream to Arrow record batches.

No Python object is made per cell, and the interpreter's lock is free while rows are decoded.
Nothing here knows a connection: bytes come in, batches go out.

Source:
    PostgreSQL manual, "COPY", section "Binary Format".
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: C901, PLR0911, PLR0912, PLR1714, PLR2004, SIM109

from __future__ import annotations

import sys

import cython
import pyarrow as pa  # noqa: TC002 - a guard would hide it from the compiler

from rivet.errors import InternalError
from rivet.wire.refusals import not_finished, refusal

if cython.compiled:
    from cython.cimports.rivet.wire.columns import ColumnBuffers
    from cython.cimports.rivet.wire.native import (
        AT_END,
        BAD_TEXT,
        END,
        FAILED,
        FIELD_COUNT,
        IN_HEADER,
        IN_ROWS,
        MALFORMED,
        NO_ROOM,
        NOT_FINITE,
        OK,
        OUT_OF_RANGE,
        SHORT,
        TOO_LARGE,
        ColumnRef,
        Source,
        column_at,
        has_signature,
        load16,
        load32,
    )
    from cython.cimports.rivet.wire.scalars import put_null
else:
    from .columns import ColumnBuffers
    from .plain import (
        AT_END,
        BAD_TEXT,
        END,
        FAILED,
        FIELD_COUNT,
        IN_HEADER,
        IN_ROWS,
        MALFORMED,
        NO_ROOM,
        NOT_FINITE,
        OK,
        OUT_OF_RANGE,
        SHORT,
        TOO_LARGE,
        ColumnRef,
        Source,
        column_at,
        has_signature,
        load16,
        load32,
    )
    from .scalars import put_null

__all__ = ["CopyDecoder", "is_compiled"]

is_compiled: bool = bool(cython.compiled)

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"


@cython.cclass
class CopyDecoder:
    """Decodes one COPY BINARY stream, in pieces of any size, into record batches.

    Memory is the open batch and at most one row that has not arrived in whole.

    Args:
        fields: The fields of every row, in order.
        schema: The schema of the batches; its types must be those of the decoders (extension types
            over them included). It is not looked at while decoding.
        max_value_bytes: The largest value that is read; a larger one is refused before memory is
            set aside for it.
    """

    def __init__(self, fields: object, schema: object, max_value_bytes: cython.Py_ssize_t) -> None:
        if sys.byteorder != "little":
            msg = "the wire kernel runs on little-endian processors only"
            raise InternalError(msg)
        self._fields = list(fields)
        if len(self._fields) != len(schema):
            msg = f"{len(self._fields)} fields were given for a schema of {len(schema)}"
            raise InternalError(msg)
        self._columns = ColumnBuffers(self._fields, schema)
        self._first = self._columns.columns
        self._width = len(self._fields)
        self._max_value_bytes = max_value_bytes
        self._pieces = []
        self._held = 0
        self._row = self._rows_before = 0
        self._position = self._needed = self._failed_field = 0
        self._stage = IN_HEADER
        self._counts_nulls = any(
            spec.invalid == "null"
            for field in self._fields
            for spec in (field, field.element)
            if spec
        )
        self._failure = None

    @property
    def rows(self) -> int:
        """Rows in the open batch."""
        return self._row

    @property
    def arrow_bytes(self) -> int:
        """Bytes of the open batch in Arrow, validity included."""
        return self._columns.used_bytes(self._row)

    @property
    def is_finished(self) -> bool:
        """Whether the stream's own trailer was seen."""
        return self._stage == AT_END

    @property
    def nulled(self) -> dict:
        """Field name to the number of values that its `null` policy turned into NULL; no zeros."""
        return self._columns.nulled()

    def feed(self, data: object) -> None:
        """Decode the next bytes of the stream, cut anywhere; an unfinished row is kept.

        Args:
            data: Any bytes-like object; it is not kept.

        Raises:
            FormatError: A value cannot be held by its Arrow type, or is too large.
            StalePlanError: The rows have another number of fields than the plan.
            SourceError: The bytes are not a COPY BINARY stream.
        """
        chunk: cython.const[cython.uchar][::1] = data
        status: cython.int
        if self._failure is not None:
            raise self._failure
        if len(chunk) == 0:
            return
        if self._held:
            self._keep(bytes(chunk))
            if self._held < self._needed:
                return
            chunk = b"".join(self._pieces)
            self._pieces = []
            self._held = 0
        self._position = 0
        while True:
            status = self._decode_view(chunk)
            if status != NO_ROOM:
                break
            self.make_room()
        if status == SHORT:
            self._keep(bytes(chunk[self._position :]))
        elif status != OK and status != END:
            raise self.refuse(status)

    def feed_row(self, cells: object) -> None:
        """Decode one row whose cells arrived one by one, as those of a binary cursor do.

        Args:
            cells: One bytes-like object per field, or None for NULL.

        Raises:
            FormatError: As `feed`.
            StalePlanError: As `feed`.
            SourceError: As `feed`.
        """
        parts = [] if self._stage != IN_HEADER else [_SIGNATURE, bytes(8)]
        parts.append(len(cells).to_bytes(2, "big"))
        for cell in cells:
            if cell is None:
                parts.append(b"\xff\xff\xff\xff")
            else:
                parts.append(len(cell).to_bytes(4, "big"))
                parts.append(cell)
        self.feed(b"".join(parts))

    def take(self) -> pa.RecordBatch:
        """Return the open batch as a `pyarrow.RecordBatch` without copying it; open a new one.

        Raises:
            FormatError: A text of the batch is not valid UTF-8.
        """
        if self._failure is not None:
            raise self._failure
        try:
            batch = self._columns.take(self._row)
        except UnicodeError as error:
            self._failed_field, self._row = error.args
            raise self.refuse(BAD_TEXT) from None
        self._rows_before += self._row
        self._row = 0
        return batch

    def finish(self) -> None:
        """Check that the stream came to its own end.

        Raises:
            SourceInterruptedError: It did not; what was read is not the whole result.
        """
        if self._failure is not None:
            raise self._failure
        if self._stage != AT_END:
            raise not_finished(self._rows_before + self._row)

    def close(self) -> None:
        """Let go of the open batch. Safe to call twice."""
        self._pieces = []
        self._held = 0
        self._row = 0
        self._columns.release()

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def make_room(self) -> cython.int:
        """Grow what the last NO_ROOM asked for."""
        self._columns.make_room()
        return 0

    @cython.cfunc
    def refuse(self, status: cython.int) -> object:
        """Return the error of a status; from now on the decoder gives nothing else."""
        field: object = None
        if 0 <= self._failed_field < self._width:
            field = self._fields[self._failed_field]
        row = self._rows_before + self._row + 1
        self._failure = refusal(status, field, row, self._max_value_bytes)
        self._stage = FAILED
        return self._failure

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _decode_view(self, chunk: cython.const[cython.uchar][::1]) -> cython.int:
        size: cython.Py_ssize_t = len(chunk)
        status: cython.int
        if cython.compiled:
            src: Source = cython.address(chunk[0])
            with cython.nogil:
                status = self.decode(src, size)
        else:
            status = self.decode(memoryview(chunk).cast("B"), size)
        return status

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def decode(self, src: Source, size: cython.Py_ssize_t) -> cython.int:
        """Decode whole rows of `src[_position:size]`, moving `_position` past each.

        Returns:
            OK when all is used up, SHORT when what is left is no whole row, NO_ROOM when
            `make_room` must be called before going on, END after the trailer, or a refusal.
        """
        status: cython.int = OK
        if self._stage == IN_HEADER:
            status = self._decode_header(src, size)
        while status == OK and self._position < size:
            if self._stage == AT_END:
                self._failed_field = -1
                return MALFORMED
            status = self._decode_row(src, size)
            if self._counts_nulls and status != END:
                self._settle(status == OK)
            if status == END:
                self._stage = AT_END
                status = OK
        if status == OK and self._stage == AT_END:
            return END
        return status

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _decode_header(self, src: Source, size: cython.Py_ssize_t) -> cython.int:
        extension: cython.Py_ssize_t
        self._failed_field = -1
        self._needed = 19
        if size - self._position < 19:
            return SHORT
        if not has_signature(src, self._position):
            return MALFORMED
        # The upper half of the flags is critical: none of them is known to this reader.
        extension = load32(src, self._position + 15)
        if load16(src, self._position + 11) != 0 or extension < 0 or extension > 1_048_576:
            return MALFORMED
        self._needed = 19 + extension
        if size - self._position < self._needed:
            return SHORT
        self._position += self._needed
        self._stage = IN_ROWS
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _decode_row(self, src: Source, size: cython.Py_ssize_t) -> cython.int:
        pos: cython.Py_ssize_t = self._position
        at: cython.Py_ssize_t = self._row
        length: cython.Py_ssize_t
        index: cython.Py_ssize_t
        count: cython.int
        status: cython.int
        col: ColumnRef
        self._failed_field = -1
        self._needed = 2
        if size - pos < 2:
            return SHORT
        count = load16(src, pos)
        pos += 2
        if count == -1:
            self._position = pos
            return END
        if count != self._width:
            return FIELD_COUNT
        if at >= self._columns.room:
            return NO_ROOM
        for index in range(self._width):
            self._needed = pos + 4 - self._position
            if size - pos < 4:
                return SHORT
            length = load32(src, pos)
            pos += 4
            col = column_at(self._first, index)
            if length < 0:
                if length != -1:
                    self._failed_field = index
                    return MALFORMED
                put_null(col, at)
                continue
            if length > self._max_value_bytes:
                self._failed_field = index
                return TOO_LARGE
            if size - pos < length:
                self._needed = pos + length - self._position
                return SHORT
            status = col.decode(col, at, src, pos, length)
            if status != OK:
                if (status == NOT_FINITE or status == OUT_OF_RANGE) and col.is_null_on_invalid:
                    put_null(col, at)
                    col.pending_nulled += 1
                else:
                    self._failed_field = index
                    return status
            pos += length
        self._row = at + 1
        self._position = pos
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _settle(self, is_kept: cython.bint) -> cython.void:
        """Count what became NULL in a row, or forget it where the row is decoded again."""
        self._columns.settle(is_kept)
