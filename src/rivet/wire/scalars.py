"""Cell decoders of the simple types: one function per binary form.

Every decoder has one contract. It reads `length` bytes at `src[pos]`, writes value number `at` of
its column and returns a status: OK, NO_ROOM with the column's `wanted_*` set (the caller makes room
and decodes the whole row again), or the reason of a refusal. Writing the same value twice is
harmless. It never allocates, never raises, and does not need the interpreter's lock.

Source:
    PostgreSQL source, the `*send` functions of `src/backend/utils/adt`.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: D103, PLR1714, PLR2004

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.native import (
        BAD_TEXT,
        BAD_WIDTH,
        BATCH_TOO_LARGE,
        BITS,
        DAY_US,
        EPOCH_SHIFT_US,
        INT32_MAX,
        INT32_MIN,
        INT64_MAX,
        INT64_MIN,
        LOW32,
        MALFORMED,
        MAX_OFFSET,
        MOST_NANO_US,
        NO_ROOM,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        clear_bit,
        copy_bytes,
        fill_bytes,
        load16,
        load32,
        load64,
        load_offset,
        set_bit,
        store16,
        store32,
        store64,
        store_offset,
    )
else:
    from .plain import (
        BAD_TEXT,
        BAD_WIDTH,
        BATCH_TOO_LARGE,
        BITS,
        DAY_US,
        EPOCH_SHIFT_US,
        INT32_MAX,
        INT32_MIN,
        INT64_MAX,
        INT64_MIN,
        LOW32,
        MALFORMED,
        MAX_OFFSET,
        MOST_NANO_US,
        NO_ROOM,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        clear_bit,
        copy_bytes,
        fill_bytes,
        load16,
        load32,
        load64,
        load_offset,
        set_bit,
        store16,
        store32,
        store64,
        store_offset,
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_null(col: ColumnRef, at: cython.Py_ssize_t) -> cython.void:
    """Make value `at` NULL; its bytes become zero, so that files do not depend on old memory."""
    col.has_nulls = True
    clear_bit(col.validity, at)
    if col.width > 0:
        fill_bytes(col.data, at * col.width, (at + 1) * col.width, 0)
    elif col.width != BITS:
        store_offset(col.offsets, at + 1, load_offset(col.offsets, at))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def boolean(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    if length != 1:
        return BAD_WIDTH
    if src[pos] != 0:
        set_bit(col.data, at)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fixed2(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    if length != 2:
        return BAD_WIDTH
    store16(col.data, at, load16(src, pos))
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fixed4(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    if length != 4:
        return BAD_WIDTH
    store32(col.data, at, load32(src, pos))
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fixed8(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    if length != 8:
        return BAD_WIDTH
    store64(col.data, at, load64(src, pos))
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def oid(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    value: cython.ulonglong
    if length != 4:
        return BAD_WIDTH
    value = load32(src, pos)
    store64(col.data, at, value & LOW32)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def date(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """Days since 2000-01-01 to days since 1970-01-01; the ends of int32 are the infinities."""
    days: cython.longlong
    if length != 4:
        return BAD_WIDTH
    days = load32(src, pos)
    if days == INT32_MIN or days > INT32_MAX - 10957:
        return OUT_OF_RANGE
    store32(col.data, at, cython.cast(cython.int, days + 10957))
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def time(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """Microseconds since midnight; 24:00:00 is a PostgreSQL time, but no Arrow time."""
    micros: cython.longlong
    if length != 8:
        return BAD_WIDTH
    micros = load64(src, pos)
    if micros < 0 or micros >= DAY_US:
        return OUT_OF_RANGE
    store64(col.data, at, micros * 1000 if col.is_nano else micros)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def timestamp(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """Microseconds since 2000-01-01 to the column's unit since 1970-01-01, without overflow."""
    micros: cython.longlong
    if length != 8:
        return BAD_WIDTH
    micros = load64(src, pos)
    # The ends of int64 are the infinities.
    if micros == INT64_MIN or micros > INT64_MAX - EPOCH_SHIFT_US:
        return OUT_OF_RANGE
    micros += EPOCH_SHIFT_US
    if col.is_nano:
        if micros < -MOST_NANO_US or micros > MOST_NANO_US:
            return OUT_OF_RANGE
        micros *= 1000
    store64(col.data, at, micros)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def raw(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """Bytes as they are."""
    start: cython.Py_ssize_t = load_offset(col.offsets, at)
    if length > col.data_room - start:
        if length > MAX_OFFSET - start:
            return BATCH_TOO_LARGE
        col.wanted_bytes = start + length
        return NO_ROOM
    copy_bytes(col.data, start, src, pos, length)
    store_offset(col.offsets, at + 1, start + length)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """Text in UTF-8.

    Only the first byte is checked here. Together with one check of the column's joined bytes when
    the batch is taken, that proves each value valid at a fraction of the price.
    """
    if length > 0 and (src[pos] & 0xC0) == 0x80:
        return BAD_TEXT
    return raw(col, at, src, pos, length)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def jsonb(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    if length < 1 or src[pos] != 1:
        return MALFORMED
    return text(col, at, src, pos + 1, length - 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def uuid(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    if length != 16:
        return BAD_WIDTH
    copy_bytes(col.data, at * 16, src, pos, 16)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_uuid(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in any letter case, to its sixteen bytes."""
    index: cython.Py_ssize_t
    byte: cython.int
    nibble: cython.int
    count: cython.Py_ssize_t = 0
    high: cython.int = 0
    if length != 36:
        return BAD_WIDTH
    for index in range(36):
        byte = src[pos + index]
        if index == 8 or index == 13 or index == 18 or index == 23:
            if byte != 45:
                return MALFORMED
            continue
        if 48 <= byte <= 57:
            nibble = byte - 48
        elif 97 <= byte <= 102:
            nibble = byte - 87
        elif 65 <= byte <= 70:
            nibble = byte - 55
        else:
            return MALFORMED
        if count % 2 == 0:
            high = nibble * 16
        else:
            col.data[at * 16 + count // 2] = high + nibble
        count += 1
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def geometry(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """WKB behind the four bytes of a spatial reference system's number."""
    if length < 9 or src[pos + 4] > 1:
        return MALFORMED
    return raw(col, at, src, pos + 4, length - 4)
