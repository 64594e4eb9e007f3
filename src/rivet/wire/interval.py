"""Cell decoder of `interval`: months, days and microseconds to ISO 8601 text.

The three parts never mix, and each component carries its own sign: `P1Y2M3DT4H5M6.000007S`,
`P-1M1D`, `PT-0.500000S`; the empty interval is `PT0S`.

Source:
    PostgreSQL source, `interval_send`: int64 microseconds, int32 days, int32 months; all three at
    their extreme are the infinities of PostgreSQL 17, and finite before it.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: PLR1730, PLR2004, SIM300

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.native import (
        BAD_WIDTH,
        BATCH_TOO_LARGE,
        HOUR_US,
        INT32_MAX,
        INT32_MIN,
        INT64_MAX,
        INT64_MIN,
        MAX_OFFSET,
        NO_ROOM,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        Store,
        load32,
        load64,
        load_offset,
        store_offset,
    )
else:
    from .plain import (
        BAD_WIDTH,
        BATCH_TOO_LARGE,
        HOUR_US,
        INT32_MAX,
        INT32_MIN,
        INT64_MAX,
        INT64_MIN,
        MAX_OFFSET,
        NO_ROOM,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        Store,
        load32,
        load64,
        load_offset,
        store_offset,
    )


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_number(
    out: Store, at: cython.Py_ssize_t, magnitude: cython.ulonglong, least: cython.int
) -> cython.Py_ssize_t:
    """Write a number in at least `least` digits and return the place after it."""
    size: cython.int = 1
    rest: cython.ulonglong = magnitude
    index: cython.int
    while rest >= 10:
        rest //= 10
        size += 1
    if size < least:
        size = least
    rest = magnitude
    for index in range(size):
        out[at + size - 1 - index] = cython.cast(cython.uchar, 48 + rest % 10)
        rest //= 10
    return at + size


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_part(
    out: Store,
    at: cython.Py_ssize_t,
    magnitude: cython.ulonglong,
    is_negative: cython.bint,
    unit: cython.int,
) -> cython.Py_ssize_t:
    """Write one component such as `-3D`, or nothing for zero."""
    if magnitude == 0:
        return at
    if is_negative:
        out[at] = 45
        at += 1
    at = _put_number(out, at, magnitude, 1)
    out[at] = cython.cast(cython.uchar, unit)
    return at + 1


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_seconds(
    out: Store, at: cython.Py_ssize_t, micros: cython.ulonglong, is_negative: cython.bint
) -> cython.Py_ssize_t:
    """Write seconds with as many decimals as they need."""
    if is_negative:
        out[at] = 45
        at += 1
    at = _put_number(out, at, micros // 1_000_000, 1)
    if micros % 1_000_000 != 0:
        out[at] = 46
        at = _put_number(out, at + 1, micros % 1_000_000, 6)
    out[at] = 83
    return at + 1


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _infinity(src: Source, pos: cython.Py_ssize_t) -> cython.int:
    """Return 1 or -1 for an infinity, 0 for what is finite."""
    micros: cython.longlong = load64(src, pos)
    days: cython.longlong = load32(src, pos + 8)
    months: cython.longlong = load32(src, pos + 12)
    if micros == INT64_MAX and days == INT32_MAX and months == INT32_MAX:
        return 1
    if micros == INT64_MIN and days == INT32_MIN and months == INT32_MIN:
        return -1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def interval(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """See `scalars` for the contract of a decoder; an infinity is out of range."""
    if length != 16:
        return BAD_WIDTH
    if _infinity(src, pos) != 0:
        return OUT_OF_RANGE
    return finite_interval(col, at, src, pos, length)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def any_interval(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """As `interval`; the infinities are the words that PostgreSQL prints for them."""
    sign: cython.int
    index: cython.int
    infinity: cython.uchar[8] = [105, 110, 102, 105, 110, 105, 116, 121]
    end: cython.Py_ssize_t = load_offset(col.offsets, at)
    if length != 16:
        return BAD_WIDTH
    sign = _infinity(src, pos)
    if sign == 0:
        return finite_interval(col, at, src, pos, length)
    if 64 > col.data_room - end:
        if end > MAX_OFFSET - 64:
            return BATCH_TOO_LARGE
        col.wanted_bytes = end + 64
        return NO_ROOM
    if sign < 0:
        col.data[end] = 45
        end += 1
    for index in range(8):
        col.data[end + index] = infinity[index]
    store_offset(col.offsets, at + 1, end + 8)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def finite_interval(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """As `interval`, of a server that has no infinities."""
    signed: cython.longlong
    days: cython.longlong
    months: cython.longlong
    micros: cython.ulonglong
    size: cython.ulonglong
    start: cython.Py_ssize_t = load_offset(col.offsets, at)
    end: cython.Py_ssize_t
    if length != 16:
        return BAD_WIDTH
    signed = load64(src, pos)
    days = load32(src, pos + 8)
    months = load32(src, pos + 12)
    # The longest text has 61 bytes.
    if 64 > col.data_room - start:
        if start > MAX_OFFSET - 64:
            return BATCH_TOO_LARGE
        col.wanted_bytes = start + 64
        return NO_ROOM
    # Negating before the widening would overflow at the least number.
    if signed < 0:
        micros = cython.cast(cython.ulonglong, -(signed + 1)) + 1
    else:
        micros = cython.cast(cython.ulonglong, signed)
    end = start
    col.data[end] = 80
    end += 1
    size = cython.cast(cython.ulonglong, -months if months < 0 else months)
    end = _put_part(col.data, end, size // 12, months < 0, 89)
    end = _put_part(col.data, end, size % 12, months < 0, 77)
    size = cython.cast(cython.ulonglong, -days if days < 0 else days)
    end = _put_part(col.data, end, size, days < 0, 68)
    if micros != 0 or end == start + 1:
        col.data[end] = 84
        end += 1
        end = _put_part(col.data, end, micros // HOUR_US, signed < 0, 72)
        end = _put_part(col.data, end, micros // 60_000_000 % 60, signed < 0, 77)
        if micros % 60_000_000 != 0 or micros == 0:
            end = _put_seconds(col.data, end, micros % 60_000_000, signed < 0)
    store_offset(col.offsets, at + 1, end)
    return OK
