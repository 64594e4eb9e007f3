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

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.batches import BatchDecoder
    from cython.cimports.rivet.wire.native import (
        AT_END,
        END,
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
    from .batches import BatchDecoder
    from .plain import (
        AT_END,
        END,
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
class CopyDecoder(BatchDecoder):
    """Decodes one COPY BINARY stream, in pieces of any size, into record batches.

    Memory is the open batch and at most one row that has not arrived in whole.

    Args:
        fields: As `BatchDecoder`.
        schema: As `BatchDecoder`.
        max_value_bytes: As `BatchDecoder`.
    """

    def __init__(self, fields: object, schema: object, max_value_bytes: cython.Py_ssize_t) -> None:
        BatchDecoder.__init__(self, fields, schema, max_value_bytes, "COPY BINARY stream")
        self._pieces = []
        self._held = 0

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

    def close(self) -> None:
        """Let go of the open batch. Safe to call twice."""
        self._pieces = []
        self._held = 0
        BatchDecoder.close(self)

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)

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
            if status != END:
                self.settle(status == OK)
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
