"""Cell decoders of numbers as MySQL and MariaDB send them: decimal digits, and bytes for BIT.

Nothing is rounded, and nothing wraps: a number beyond its column is refused. See `scalars` for the
contract of a decoder.

Source:
    MySQL manual, "Text Resultset"; each value is the text that the server's own client shows.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: C901, D103, PLR0911, PLR0913, PLR0917, PLR2004

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.native import (
        BAD_WIDTH,
        DOES_NOT_FIT,
        LOW32,
        MALFORMED,
        NO_FLAG,
        OK,
        ColumnRef,
        Source,
        set_bit,
        store16,
        store32,
        store64,
    )
    from cython.cimports.rivet.wire.numeric import scale_up, store_limbs, store_word
else:
    from .numeric import scale_up, store_limbs, store_word
    from .plain import (
        BAD_WIDTH,
        DOES_NOT_FIT,
        LOW32,
        MALFORMED,
        NO_FLAG,
        OK,
        ColumnRef,
        Source,
        set_bit,
        store16,
        store32,
        store64,
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_boolean(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """0 or 1; other numbers of a `tinyint(1)` would collapse, so they are refused."""
    index: cython.Py_ssize_t
    if length < 1:
        return MALFORMED
    for index in range(length):
        if (src[pos + index] < 48 or src[pos + index] > 57) and (index > 0 or src[pos] != 45):
            return MALFORMED
    if length != 1 or src[pos] > 49:
        return MALFORMED if length == 1 and src[pos] == 45 else NO_FLAG
    if src[pos] == 49:
        set_bit(col.data, at)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_integer(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """A signed integer, to as many bytes as the column has."""
    end: cython.Py_ssize_t = pos + length
    value: cython.ulonglong = 0
    limit: cython.ulonglong = 1
    digit: cython.int
    is_negative: cython.bint = length > 0 and src[pos] == 45
    if is_negative:
        pos += 1
    if pos >= end:
        return MALFORMED
    limit = (limit << (8 * col.width - 1)) - (0 if is_negative else 1)
    while pos < end:
        digit = src[pos] - 48
        if digit < 0 or digit > 9:
            return MALFORMED
        if value > (limit - digit) // 10:
            return DOES_NOT_FIT
        value = value * 10 + digit
        pos += 1
    if is_negative:
        value = 0 - value
    if col.width == 8:
        store64(col.data, at, value)
    elif col.width == 4:
        store32(col.data, at, value)
    else:
        store16(col.data, at, value)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_unsigned(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """An integer of 0 to 2**64 - 1."""
    end: cython.Py_ssize_t = pos + length
    value: cython.ulonglong = 0
    limit: cython.ulonglong = (LOW32 << 32) | LOW32
    digit: cython.int
    if length < 1:
        return MALFORMED
    while pos < end:
        digit = src[pos] - 48
        if digit < 0 or digit > 9:
            return MALFORMED
        if value > (limit - digit) // 10:
            return DOES_NOT_FIT
        value = value * 10 + digit
        pos += 1
    store64(col.data, at, value)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_decimal(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """A decimal without exponent, such as `-0012.50`."""
    end: cython.Py_ssize_t = pos + length
    point: cython.Py_ssize_t
    last: cython.Py_ssize_t
    index: cython.Py_ssize_t
    digit: cython.int
    is_negative: cython.bint = length > 0 and src[pos] == 45
    if is_negative:
        pos += 1
    point = pos
    while point < end and src[point] != 46:
        digit = src[point] - 48
        if digit < 0 or digit > 9:
            return MALFORMED
        point += 1
    last = point + 1 if point < end else end
    if point == pos and last >= end:
        return MALFORMED
    for index in range(last, end):
        digit = src[index] - 48
        if digit < 0 or digit > 9:
            return MALFORMED
        # A digit beyond the scale would be lost, unless it is a zero.
        if digit != 0 and index - last >= col.scale:
            return DOES_NOT_FIT
    if end - last > col.scale:
        end = last + col.scale
    while pos < point and src[pos] == 48:
        pos += 1
    if point - pos > col.precision - col.scale:
        return DOES_NOT_FIT
    if point - pos + col.scale <= 18:
        return _narrow(col, at, src, pos, point, last, end, is_negative)
    return _wide(col, at, src, pos, point, last, end, is_negative)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _narrow(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    point: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    is_negative: cython.bint,
) -> cython.int:
    """Decode the digits of `src[pos:point]` and `src[last:end]`, at most 18 with the scale."""
    total: cython.longlong = 0
    index: cython.Py_ssize_t
    for index in range(pos, point):
        total = total * 10 + (src[index] - 48)
    for index in range(last, end):
        total = total * 10 + (src[index] - 48)
    index = col.scale - (end - last if end > last else 0)
    while index > 0:
        total *= 10
        index -= 1
    store_word(col, at, -total if is_negative else total)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _wide(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    point: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    is_negative: cython.bint,
) -> cython.int:
    """As `_narrow`, for up to 76 digits: nine at a time."""
    limbs: cython.ulonglong[8] = [0, 0, 0, 0, 0, 0, 0, 0]
    group: cython.ulonglong = 0
    factor: cython.ulonglong = 1
    index: cython.Py_ssize_t
    fraction: cython.Py_ssize_t = end - last if end > last else 0
    count: cython.Py_ssize_t = point - pos + col.scale
    for index in range(count):
        factor *= 10
        if index < point - pos:
            group = group * 10 + (src[pos + index] - 48)
        elif index - (point - pos) < fraction:
            group = group * 10 + (src[last + index - (point - pos)] - 48)
        else:
            group *= 10
        if factor == 1_000_000_000 or index == count - 1:
            scale_up(limbs, factor, group)
            group = 0
            factor = 1
    store_limbs(col, at, limbs, is_negative)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def bit_boolean(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    if length != 1:
        return BAD_WIDTH
    if src[pos] > 1:
        return MALFORMED
    if src[pos] == 1:
        set_bit(col.data, at)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def bits(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """A bit field, highest byte first. Eight whole bytes are an unsigned number."""
    value: cython.ulonglong = 0
    index: cython.Py_ssize_t
    if length < 1 or length > 8:
        return BAD_WIDTH
    for index in range(length):
        value = (value << 8) | src[pos + index]
    store64(col.data, at, value)
    return OK
