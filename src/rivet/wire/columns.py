"""Growing Arrow buffers of a batch, one set per column, handed to pyarrow without a copy.

The memory comes from pyarrow's pool, so `pyarrow.total_allocated_bytes` counts it. A new batch
starts with the room that the last one needed.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.

from __future__ import annotations

import cython
import pyarrow as pa

from rivet.wire.assemble import BadCellError, build_array, first_bad_text, numbers_of_text

if cython.compiled:
    from cython.cimports.libc.stdlib import calloc, free
    from cython.cimports.rivet.wire.decoders import decoder_of
    from cython.cimports.rivet.wire.native import (
        BAD_TEXT,
        BITS,
        MALFORMED,
        NOWHERE,
        VARIABLE,
        Column,
        ColumnRef,
        Store,
        column_at,
        fill_bytes,
        load_offset,
        store_offset,
    )
else:
    from .decoders import decoder_of
    from .plain import (
        BAD_TEXT,
        BITS,
        MALFORMED,
        NOWHERE,
        VARIABLE,
        Column,
        ColumnRef,
        Store,
        column_at,
        fill_bytes,
        load_offset,
        store_offset,
    )

_FIRST_ROWS = 1024
_FIRST_BYTES = 16_384
_LARGEST_STEP = 16 * 1024 * 1024


@cython.cfunc
def _memory(buffer: object) -> Store:
    """Return the buffer's memory; it is good until the buffer is resized."""
    if cython.compiled:
        return cython.cast(Store, cython.cast(cython.size_t, buffer.address))
    else:  # noqa: RET505 - the compiler drops the other branch
        return memoryview(buffer).cast("B")


@cython.cclass
class ColumnBuffers:
    """The open batch of one stream.

    Top-level columns come first; the child of a list column stands behind all of them.
    """

    def __init__(self, fields: list, schema: object) -> None:
        index: cython.Py_ssize_t
        child: cython.Py_ssize_t
        col: ColumnRef
        specs = list(fields)
        specs += [field.element for field in fields if field.element is not None]
        self.width = len(fields)
        self.total = len(specs)
        self.room = 0
        self._schema = schema
        self._specs = specs
        self._buffers = []
        self._row_hints = [_FIRST_ROWS] * self.total
        self._byte_hints = [_FIRST_BYTES] * self.total
        if cython.compiled:
            self.columns = cython.cast(ColumnRef, calloc(self.total + 1, cython.sizeof(Column)))
            if self.columns == cython.NULL:
                raise MemoryError
        else:
            self.columns = [Column() for _ in specs]
        child = self.width
        for index in range(self.total):
            spec = specs[index]
            col = column_at(self.columns, index)
            col.decode = decoder_of(spec.decoder)
            col.precision = spec.precision
            col.scale = spec.scale
            col.is_nano = spec.unit == "ns"
            col.is_null_on_invalid = spec.invalid == "null"
            col.width = spec.width
            if spec.element is not None:
                col.is_list = True
                col.child = column_at(self.columns, child)
                child += 1

    def __dealloc__(self) -> None:
        if cython.compiled:
            free(self.columns)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def make_room(self) -> cython.int:
        """Give every column what it wants: more rows for all, or what a decoder asked for."""
        index: cython.Py_ssize_t
        rows: cython.Py_ssize_t
        col: ColumnRef
        wanted: cython.bint = False
        if not self._buffers:
            return self._open()
        for index in range(self.total):
            col = column_at(self.columns, index)
            if col.wanted_rows > 0:
                self._resize_rows(index, max(col.wanted_rows, 2 * col.row_room))
                col.wanted_rows = 0
                wanted = True
            if col.wanted_bytes > 0:
                step = min(col.data_room, _LARGEST_STEP)
                self._resize_data(index, max(col.wanted_bytes, col.data_room + step))
                col.wanted_bytes = 0
                wanted = True
        if not wanted:
            rows = 2 * self.room
            for index in range(self.width):
                self._resize_rows(index, rows)
            self.room = rows
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _open(self) -> cython.int:
        index: cython.Py_ssize_t
        col: ColumnRef
        for index in range(self.total):
            self._buffers.append([pa.allocate_buffer(64, resizable=True) for _ in range(3)])
            col = column_at(self.columns, index)
            col.row_room = 0
            col.has_nulls = False
            self._resize_rows(index, self._row_hints[index])
            if col.width == VARIABLE:
                store_offset(col.offsets, 0, 0)
                if not col.is_list:
                    self._resize_data(index, self._byte_hints[index])
        self.room = max(self._row_hints[: self.width]) if self.width else _FIRST_ROWS
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _resize_rows(self, index: cython.Py_ssize_t, rows: cython.Py_ssize_t) -> cython.int:
        col: ColumnRef = column_at(self.columns, index)
        validity, offsets, data = self._buffers[index]
        old: cython.Py_ssize_t = (col.row_room + 7) // 8
        new: cython.Py_ssize_t = (rows + 7) // 8
        validity.resize(new)
        col.validity = _memory(validity)
        fill_bytes(col.validity, old, new, 255)
        if col.width == VARIABLE:
            offsets.resize(4 * (rows + 1))
            col.offsets = _memory(offsets)
        elif col.width == BITS:
            data.resize(new)
            col.data = _memory(data)
            fill_bytes(col.data, old, new, 0)
        else:
            data.resize(rows * col.width)
            col.data = _memory(data)
        col.row_room = rows
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _resize_data(self, index: cython.Py_ssize_t, room: cython.Py_ssize_t) -> cython.int:
        col: ColumnRef = column_at(self.columns, index)
        data = self._buffers[index][2]
        data.resize(room)
        col.data = _memory(data)
        col.data_room = room
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def used_bytes(self, rows: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Return the Arrow bytes of the first `rows` rows, validity included."""
        index: cython.Py_ssize_t
        count: cython.Py_ssize_t
        total: cython.Py_ssize_t = 0
        col: ColumnRef
        if self.room == 0:
            return 0
        for index in range(self.width):
            col = column_at(self.columns, index)
            count = rows
            if col.is_list:
                total += 4 * (rows + 1) + rows // 8
                count = load_offset(col.offsets, rows)
                col = col.child
            if col.has_nulls:
                total += count // 8
            if col.width == VARIABLE:
                total += 4 * (count + 1) + load_offset(col.offsets, count)
            elif col.width == BITS:
                total += count // 8
            else:
                total += count * col.width
        return total

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def settle(self, is_kept: cython.bint) -> cython.void:
        """Count the values that became NULL in the last row, or forget them."""
        index: cython.Py_ssize_t
        col: ColumnRef
        for index in range(self.total):
            col = column_at(self.columns, index)
            if is_kept:
                col.nulled += col.pending_nulled
            col.pending_nulled = 0

    def nulled(self) -> dict:
        """Return the counts of values that became NULL by policy, by name, without zeros."""
        index: cython.Py_ssize_t
        counts: dict = {}
        for index in range(self.total):
            # An array's elements carry the name of their column.
            count = column_at(self.columns, index).nulled
            name = self._specs[index].name
            if index >= self.width:
                name = self._specs[self._parent_field(index)].name
            if count:
                counts[name] = counts.get(name, 0) + count
        return counts

    def release(self) -> None:
        """Let go of the open batch's memory; what was taken from it lives on by itself."""
        index: cython.Py_ssize_t
        col: ColumnRef
        self._buffers = []
        self.room = 0
        for index in range(self.total):
            col = column_at(self.columns, index)
            col.validity = col.offsets = col.data = NOWHERE

    def take(self, rows: cython.Py_ssize_t) -> object:
        """Return the first `rows` rows as a record batch that owns its memory; start anew.

        Raises:
            BadCellError: A text is not valid UTF-8, or is no number.
        """
        child: cython.Py_ssize_t = self.width
        index: cython.Py_ssize_t
        count: cython.Py_ssize_t
        if not self._buffers:
            self._open()
        arrays = []
        for index in range(self.width):
            arrow_type = self._schema.field(index).type
            if self._specs[index].element is None:
                arrays.append(self._array(index, rows, arrow_type))
                continue
            count = load_offset(column_at(self.columns, index).offsets, rows)
            elements = self._array(child, count, arrow_type.value_type)
            validity, offsets = self._parts(index, rows)[:2]
            arrays.append(
                pa.Array.from_buffers(arrow_type, rows, [validity, offsets], children=[elements])
            )
            child += 1
        self.release()
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _parts(self, index: cython.Py_ssize_t, rows: cython.Py_ssize_t) -> list:
        """Cut a column's buffers to the bytes in use: validity, offsets, data; None is absent."""
        col: ColumnRef = column_at(self.columns, index)
        used: cython.Py_ssize_t
        validity, offsets, data = self._buffers[index]
        bits: cython.Py_ssize_t = (rows + 7) // 8
        self._row_hints[index] = max(rows, _FIRST_ROWS)
        if col.has_nulls:
            validity.resize(bits, shrink_to_fit=False)
        else:
            validity = None
        if col.width == VARIABLE:
            used = load_offset(col.offsets, rows)
            offsets.resize(4 * (rows + 1), shrink_to_fit=False)
            data.resize(0 if col.is_list else used, shrink_to_fit=False)
            self._byte_hints[index] = max(used + used // 16, _FIRST_BYTES)
        else:
            offsets = None
            data.resize(bits if col.width == BITS else rows * col.width, shrink_to_fit=False)
        return [validity, offsets, data]

    def _array(
        self, index: cython.Py_ssize_t, rows: cython.Py_ssize_t, arrow_type: object
    ) -> object:
        parts = self._parts(index, rows)
        if self._specs[index].is_text:
            bad = first_bad_text(parts[1], parts[2], rows)
            if bad is not None:
                raise BadCellError(BAD_TEXT, *self._parent(index, bad))
        if self._specs[index].is_number_text:
            numbers, bad = numbers_of_text(arrow_type, rows, parts)
            if bad is not None:
                raise BadCellError(MALFORMED, *self._parent(index, bad))
            return numbers
        return build_array(arrow_type, rows, parts)

    def _parent_field(self, index: cython.Py_ssize_t) -> int:
        lists = [i for i in range(self.width) if self._specs[i].element is not None]
        return lists[index - self.width]

    def _parent(self, index: cython.Py_ssize_t, at: cython.Py_ssize_t) -> tuple:
        """Return the field and the row that hold value `at` of a column or of a list's child."""
        if index < self.width:
            return index, at
        field: cython.Py_ssize_t = self._parent_field(index)
        row: cython.Py_ssize_t = 0
        while load_offset(column_at(self.columns, field).offsets, row + 1) <= at:
            row += 1
        return field, row
