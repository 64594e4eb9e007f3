"""Cell decoder of arrays: one dimension from 1, with the decoder of the elements.

Source:
    PostgreSQL source, `array_send`: int32 dimensions, int32 "has NULLs", uint32 element type; per
    dimension int32 size and int32 lower bound; per element int32 length (-1 is NULL) and bytes.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: C901, PLR0911, PLR1714, PLR2004, SIM109

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.native import (
        BAD_SHAPE,
        BATCH_TOO_LARGE,
        MALFORMED,
        MAX_OFFSET,
        NO_ROOM,
        NOT_FINITE,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        load32,
        load_offset,
        store_offset,
    )
    from cython.cimports.rivet.wire.scalars import put_null
else:
    from .plain import (
        BAD_SHAPE,
        BATCH_TOO_LARGE,
        MALFORMED,
        MAX_OFFSET,
        NO_ROOM,
        NOT_FINITE,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        load32,
        load_offset,
        store_offset,
    )
    from .scalars import put_null


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def array(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """See `scalars` for the contract of a decoder."""
    start: cython.Py_ssize_t = load_offset(col.offsets, at)
    count: cython.Py_ssize_t
    dimensions: cython.int
    if length < 12:
        return MALFORMED
    dimensions = load32(src, pos)
    if dimensions < 0:
        return MALFORMED
    if dimensions == 0:
        if length != 12:
            return MALFORMED
        store_offset(col.offsets, at + 1, start)
        return OK
    if dimensions > 1:
        return BAD_SHAPE
    if length < 20:
        return MALFORMED
    count = load32(src, pos + 12)
    # Each element has at least its four bytes of length.
    if count < 0 or count > (length - 20) // 4:
        return MALFORMED
    if load32(src, pos + 16) != 1:
        return BAD_SHAPE
    if count > MAX_OFFSET - start:
        return BATCH_TOO_LARGE
    if start + count > col.child.row_room:
        col.child.wanted_rows = start + count
        return NO_ROOM
    store_offset(col.offsets, at + 1, start + count)
    return _elements(col.child, start, start + count, src, pos + 20, pos + length)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _elements(
    child: ColumnRef,
    at: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.int:
    """Decode the elements at `src[pos:end]` as values `at` to `stop` of the child."""
    length: cython.Py_ssize_t
    status: cython.int
    while at < stop:
        if end - pos < 4:
            return MALFORMED
        length = load32(src, pos)
        pos += 4
        if length == -1:
            put_null(child, at)
        elif length < 0 or length > end - pos:
            return MALFORMED
        else:
            status = child.decode(child, at, src, pos, length)
            if status == NOT_FINITE or status == OUT_OF_RANGE:
                if not child.is_null_on_invalid:
                    return status
                put_null(child, at)
                child.pending_nulled += 1
            elif status != OK:
                return status
            pos += length
        at += 1
    return OK if pos == end else MALFORMED
