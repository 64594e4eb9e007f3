"""The rows of a MySQL or MariaDB text result to Arrow record batches.

No Python object is made per cell, and the interpreter's lock is free while rows are decoded. Bytes
come in behind the column definitions; nothing here knows a connection.

A packet is three bytes of length (lowest first), one of sequence number, and so many bytes of
payload; a payload of 16 MiB - 1 bytes goes on in the next packet. A row is one text per column:
its length in one, three, four or nine bytes, then its bytes; 0xFB alone is NULL. A short packet
that begins with 0xFE is the end, and one that begins with 0xFF is the server's error.

Source:
    MySQL internals manual, "MySQL Packets", "Text Resultset Row", "EOF_Packet", "ERR_Packet".
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR1714, PLR2004, SIM109

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.batches import BatchDecoder
    from cython.cimports.rivet.wire.native import (
        AT_END,
        END,
        FAILED,
        FIELD_COUNT,
        IN_ROWS,
        LARGE,
        MALFORMED,
        NO_ROOM,
        OK,
        OUT_OF_RANGE,
        REFUSED,
        SHORT,
        TOO_LARGE,
        ColumnRef,
        Source,
        column_at,
    )
    from cython.cimports.rivet.wire.scalars import put_null
else:
    from .batches import BatchDecoder
    from .plain import (
        AT_END,
        END,
        FAILED,
        FIELD_COUNT,
        IN_ROWS,
        LARGE,
        MALFORMED,
        NO_ROOM,
        OK,
        OUT_OF_RANGE,
        REFUSED,
        SHORT,
        TOO_LARGE,
        ColumnRef,
        Source,
        column_at,
    )
    from .scalars import put_null

__all__ = ["RowDecoder", "is_compiled"]

is_compiled: bool = bool(cython.compiled)

_WHOLE = 0xFFFFFF
_MORE_RESULTS = 0x0008


@cython.cclass
class RowDecoder(BatchDecoder):
    """Decodes the row packets of one result into record batches.

    The caller keeps the bytes: it offers what has arrived, drops what was consumed, and offers the
    rest again with more behind it. A row is decoded once it is there in whole, so memory is the
    open batch and the caller's buffer.

    Args:
        fields: As `BatchDecoder`.
        schema: As `BatchDecoder`.
        max_value_bytes: As `BatchDecoder`.

    Attributes:
        sequence: The sequence number of the next packet, 0 to 255.
        server_error: The payload of the server's error packet behind its first byte.
        warning_count: How many warnings the server has on the statement that has ended.
    """

    def __init__(self, fields: object, schema: object, max_value_bytes: cython.Py_ssize_t) -> None:
        BatchDecoder.__init__(self, fields, schema, max_value_bytes, "MySQL result")
        self._stage = self._first_stage = IN_ROWS
        self.sequence = 0
        self._server_status = self.warning_count = 0
        self._unmeasured = 0
        self.server_error = b""

    @property
    def consumed(self) -> int:
        """How many of the bytes offered last are used up."""
        return self._position

    @property
    def needed(self) -> int:
        """After SHORT: how many bytes the row that is not there in whole has at the least."""
        return self._needed

    @property
    def has_more_results(self) -> bool:
        """Whether the server has another result behind this one."""
        return bool(self._server_status & _MORE_RESULTS)

    def decode(
        self,
        data: object,
        size: cython.Py_ssize_t,
        max_rows: cython.Py_ssize_t,
        max_bytes: cython.Py_ssize_t,
    ) -> int:
        """Decode whole rows from the start of `data` until the open batch is full.

        Args:
            data: Any bytes-like object; it is not kept.
            size: How many of its bytes are there.
            max_rows: The batch is full at this many rows.
            max_bytes: The batch is full at about this many Arrow bytes.

        Returns:
            OK: The batch is full.
            SHORT: What is left is no whole row.
            END: The result has ended.
            REFUSED: The server ended it with an error, see `server_error`.

        Raises:
            FormatError: A value cannot be held by its Arrow type, or is too large.
            StalePlanError: The rows have another number of fields than the plan.
            SourceError: The bytes are not a result.
        """
        view: cython.const[cython.uchar][::1] = data
        status: cython.int
        if self._failure is not None:
            raise self._failure
        self._position = 0
        size = min(size, len(view))
        self._step = max(1, min(65_536, max_bytes // 16))
        while True:
            status = self._decode_view(view, size, max_rows, max_bytes)
            if status == LARGE:
                status = self._decode_large(view, size)
                if status == OK:
                    continue
            if status == NO_ROOM:
                self.make_room()
                continue
            if status == OK or status == SHORT or status == END or status == REFUSED:
                return status
            raise self.refuse(status)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _decode_view(
        self,
        view: cython.const[cython.uchar][::1],
        size: cython.Py_ssize_t,
        max_rows: cython.Py_ssize_t,
        max_bytes: cython.Py_ssize_t,
    ) -> cython.int:
        status: cython.int
        if size == 0:
            self._needed = 4
            return END if self._stage == AT_END else SHORT
        if cython.compiled:
            src: Source = cython.address(view[0])
            with cython.nogil:
                status = self._decode(src, size, max_rows, max_bytes)
        else:
            status = self._decode(memoryview(view).cast("B"), size, max_rows, max_bytes)
        if status == REFUSED:
            self.server_error = bytes(view[self._position : self._position + self._needed])
            self._stage = FAILED
        return status

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _decode(
        self,
        src: Source,
        size: cython.Py_ssize_t,
        max_rows: cython.Py_ssize_t,
        max_bytes: cython.Py_ssize_t,
    ) -> cython.int:
        """Decode packets of `src[_position:size]`, moving `_position` past each."""
        status: cython.int
        length: cython.Py_ssize_t
        pos: cython.Py_ssize_t
        while True:
            pos = self._position
            if self._stage == AT_END:
                self._failed_field = -1
                return END if pos == size else MALFORMED
            if self._row >= max_rows:
                return OK
            if self._unmeasured >= self._step:
                self._unmeasured = 0
                if self._columns.used_bytes(self._row) >= max_bytes:
                    return OK
            self._needed = 4
            if size - pos < 4:
                return SHORT
            length = src[pos] | (src[pos + 1] << 8) | (src[pos + 2] << 16)
            if length == 0xFFFFFF:
                return LARGE
            self._needed = 4 + length
            if size - pos < 4 + length:
                return SHORT
            self._failed_field = -1
            # A server that shuts down sends its error with the number zero.
            if src[pos + 3] != self.sequence and not (
                src[pos + 3] == 0 and length > 0 and src[pos + 4] == 0xFF
            ):
                return MALFORMED
            status = self._decode_packet(src, pos + 4, length)
            if status != OK:
                return status
            self._position = pos + 4 + length
            self.sequence = (self.sequence + 1) & 0xFF
            self._unmeasured += length

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _decode_packet(
        self, src: Source, pos: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.int:
        """Decode the payload of a packet that is a row, the end or an error."""
        status: cython.int
        if length == 0:
            return MALFORMED
        if src[pos] == 0xFF:
            if length < 3:
                return MALFORMED
            self._position = pos + 1
            self._needed = length - 1
            return REFUSED
        if src[pos] == 0xFE and length < 9:
            if length != 5:
                return MALFORMED
            self.warning_count = src[pos + 1] | (src[pos + 2] << 8)
            self._server_status = src[pos + 3] | (src[pos + 4] << 8)
            self._stage = AT_END
            return OK
        status = self._decode_row(src, pos, pos + length)
        self.settle(status == OK)
        return status

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _decode_row(
        self, src: Source, pos: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.int:
        """Decode the row of `src[pos:end]`, which is there in whole."""
        at: cython.Py_ssize_t = self._row
        length: cython.Py_ssize_t
        index: cython.Py_ssize_t
        step: cython.Py_ssize_t
        mark: cython.int
        high: cython.int
        status: cython.int
        col: ColumnRef
        if at >= self._columns.room:
            return NO_ROOM
        for index in range(self._width):
            if pos >= end:
                self._failed_field = -1
                return FIELD_COUNT
            self._failed_field = index
            col = column_at(self._first, index)
            mark = src[pos]
            pos += 1
            if mark == 0xFB:
                put_null(col, at)
                continue
            length = mark
            if mark > 0xFB:
                if mark == 0xFF:
                    return MALFORMED
                step = 2 if mark == 0xFC else 3 if mark == 0xFD else 8
                if end - pos < step:
                    return MALFORMED
                length = src[pos] | (src[pos + 1] << 8)
                if step > 2:
                    length |= src[pos + 2] << 16
                if step == 8:
                    # No value takes 2 GiB: these servers send at most 1 GiB in a row.
                    high = src[pos + 4] | src[pos + 5] | src[pos + 6] | src[pos + 7]
                    if high != 0 or src[pos + 3] > 127:
                        return TOO_LARGE
                    length |= cython.cast(cython.Py_ssize_t, src[pos + 3]) << 24
                pos += step
            if length > self._max_value_bytes:
                return TOO_LARGE
            if length > end - pos:
                return MALFORMED
            status = col.decode(col, at, src, pos, length)
            if status != OK:
                if status == OUT_OF_RANGE and col.is_null_on_invalid:
                    put_null(col, at)
                    col.pending_nulled += 1
                else:
                    return status
            pos += length
        if pos != end:
            self._failed_field = -1
            return FIELD_COUNT
        self._row = at + 1
        return OK

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _decode_large(
        self, view: cython.const[cython.uchar][::1], size: cython.Py_ssize_t
    ) -> cython.int:
        """Decode a row that takes several packets, once all of them are there.

        A length above the limit is refused as soon as it is seen, before its bytes are waited for.
        """
        start: cython.Py_ssize_t = self._position
        pos: cython.Py_ssize_t = start
        length: cython.Py_ssize_t = _WHOLE
        status: cython.int
        pieces: list = []
        sequence: cython.int = self.sequence
        self._failed_field = -1
        while length == _WHOLE:
            self._needed = pos + 4 - start
            if size - pos < 4:
                status = self._look_ahead(pieces)
                return SHORT if status == OK else status
            length = view[pos] | (view[pos + 1] << 8) | (view[pos + 2] << 16)
            if view[pos + 3] != sequence:
                return MALFORMED
            self._needed = pos + 4 + length - start
            pieces.append(view[pos + 4 : min(pos + 4 + length, size)])
            if size - pos - 4 < length:
                status = self._look_ahead(pieces)
                return SHORT if status == OK else status
            pos += 4 + length
            sequence = (sequence + 1) & 0xFF
        row = b"".join(pieces)
        while True:
            status = self._decode_joined(row)
            if status != NO_ROOM:
                break
            self.make_room()
        if status == OK:
            self._position = pos
            self.sequence = sequence
            self._unmeasured += len(row)
        return status

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _decode_joined(self, row: cython.const[cython.uchar][::1]) -> cython.int:
        size: cython.Py_ssize_t = len(row)
        status: cython.int
        if cython.compiled:
            status = self._decode_row(cython.address(row[0]), 0, size)
        else:
            status = self._decode_row(memoryview(row).cast("B"), 0, size)
        self.settle(status == OK)
        return status

    def _look_ahead(self, pieces: list) -> int:
        """Return TOO_LARGE where a length that has arrived is above the limit, otherwise OK."""
        arrived = sum(len(piece) for piece in pieces)
        offset = 0
        for index in range(self._width):
            if offset >= arrived:
                break
            mark = pieces[offset // _WHOLE][offset % _WHOLE]
            step = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(mark, 0)
            if offset + 1 + step > arrived:
                break
            places = range(offset + 1, offset + 1 + step)
            data = bytes(pieces[place // _WHOLE][place % _WHOLE] for place in places)
            length = int.from_bytes(data, "little") if step else 0 if mark == 0xFB else mark
            if length > self._max_value_bytes:
                self._failed_field = index
                return TOO_LARGE
            offset += 1 + step + length
        return OK
