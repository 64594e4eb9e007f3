"""Cell decoder of `numeric`: digits in base 10000 to an exact decimal of fixed scale.

Nothing is rounded. A value with more integer digits than the column holds, or with a digit other
than zero beyond its scale, is refused.

Source:
    PostgreSQL source, `numeric_send`: int16 count of digits, int16 weight of the first digit (in
    powers of 10000), uint16 sign, int16 display scale, then the digits, each an int16 of 0..9999.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: FURB136, PLR0911, PLR0913, PLR0917, PLR1714, PLR2004

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.native import (
        BAD_WIDTH,
        DOES_NOT_FIT,
        LOW32,
        MALFORMED,
        NOT_FINITE,
        OK,
        ColumnRef,
        Source,
        load16,
        store64,
    )
else:
    from .plain import (
        BAD_WIDTH,
        DOES_NOT_FIT,
        LOW32,
        MALFORMED,
        NOT_FINITE,
        OK,
        ColumnRef,
        Source,
        load16,
        store64,
    )


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _power(exponent: cython.Py_ssize_t) -> cython.int:
    """Return 10 to the power 0..4."""
    if exponent == 0:
        return 1
    if exponent == 1:
        return 10
    if exponent == 2:
        return 100
    return 1000 if exponent == 3 else 10000


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def decimal(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """See `scalars` for the contract of a decoder."""
    count: cython.Py_ssize_t
    weight: cython.Py_ssize_t
    sign: cython.int
    index: cython.Py_ssize_t
    whole: cython.Py_ssize_t
    digit: cython.int
    if length < 8:
        return BAD_WIDTH
    count = load16(src, pos)
    weight = load16(src, pos + 2)
    sign = load16(src, pos + 4) & 0xFFFF
    if count < 0 or length != 8 + 2 * count:
        return MALFORMED
    if sign != 0 and sign != 0x4000:
        return NOT_FINITE if sign in (0xC000, 0xD000, 0xF000) else MALFORMED
    pos += 8
    for index in range(count):
        digit = load16(src, pos + 2 * index)
        if digit < 0 or digit > 9999:
            return MALFORMED
    # Leading zero digits carry nothing and would spoil the count of integer digits.
    while count > 0 and load16(src, pos) == 0:
        count -= 1
        weight -= 1
        pos += 2
    whole = 0
    if count > 0 and weight >= 0:
        digit = load16(src, pos)
        whole = 4 * weight + (1 if digit < 10 else 2 if digit < 100 else 3 if digit < 1000 else 4)
    if whole > col.precision - col.scale:
        return DOES_NOT_FIT
    if whole + col.scale <= 18:
        return _narrow(col, at, src, pos, count, weight, sign != 0)
    return _wide(col, at, src, pos, count, weight, sign != 0)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _narrow(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
    weight: cython.Py_ssize_t,
    is_negative: cython.bint,
) -> cython.int:
    """Decode at most 18 digits in one machine word."""
    total: cython.longlong = 0
    index: cython.Py_ssize_t
    spare: cython.Py_ssize_t = 4 * weight + col.scale
    digit: cython.int
    cut: cython.int
    for index in range(count):
        digit = load16(src, pos + 2 * index)
        # `spare` is the power of ten that this digit's units stand at, counted from the scale.
        if spare >= 0:
            total = total * 10000 + digit
        else:
            cut = _power(-spare if spare > -4 else 4)
            if digit % cut != 0:
                return DOES_NOT_FIT
            if cut < 10000:
                total = total * (10000 // cut) + digit // cut
        spare -= 4
    spare += 4
    if total != 0:
        while spare > 0:
            total *= _power(spare if spare < 4 else 4)
            spare -= 4
    store_word(col, at, -total if is_negative else total)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def store_word(col: ColumnRef, at: cython.Py_ssize_t, word: cython.longlong) -> cython.void:
    """Write a decimal that fits one machine word as value `at`."""
    index: cython.Py_ssize_t
    words: cython.Py_ssize_t = col.width // 8
    store64(col.data, words * at, word)
    for index in range(1, words):
        store64(col.data, words * at + index, -1 if word < 0 else 0)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def scale_up(
    limbs: cython.pointer[cython.ulonglong], factor: cython.ulonglong, addend: cython.ulonglong
) -> cython.void:
    """Multiply a number of eight 32-bit limbs, lowest first, and add to it.

    Args:
        limbs: The number; each limb is below 2**32.
        factor: At most 10**9.
        addend: At most 10**9.
    """
    index: cython.int
    carry: cython.ulonglong = addend
    for index in range(8):
        carry += limbs[index] * factor
        limbs[index] = carry & LOW32
        carry >>= 32


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def store_limbs(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    limbs: cython.pointer[cython.ulonglong],
    is_negative: cython.bint,
) -> cython.void:
    """Write a decimal of eight limbs, which are spent by it, as value `at`."""
    index: cython.Py_ssize_t
    words: cython.Py_ssize_t = col.width // 8
    carry: cython.ulonglong = 1
    for index in range(8 if is_negative else 0):
        carry += limbs[index] ^ LOW32
        limbs[index] = carry & LOW32
        carry >>= 32
    for index in range(words):
        store64(col.data, words * at + index, limbs[2 * index] | (limbs[2 * index + 1] << 32))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _wide(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
    weight: cython.Py_ssize_t,
    is_negative: cython.bint,
) -> cython.int:
    """Decode up to 76 digits; `decimal` has checked that the integer digits fit."""
    limbs: cython.ulonglong[8] = [0, 0, 0, 0, 0, 0, 0, 0]
    index: cython.Py_ssize_t
    spare: cython.Py_ssize_t = 4 * weight + col.scale
    digit: cython.int
    cut: cython.int
    for index in range(count):
        digit = load16(src, pos + 2 * index)
        if spare >= 0:
            scale_up(limbs, 10000, digit)
        else:
            cut = _power(-spare if spare > -4 else 4)
            if digit % cut != 0:
                return DOES_NOT_FIT
            if cut < 10000:
                scale_up(limbs, 10000 // cut, digit // cut)
        spare -= 4
    spare += 4
    while count > 0 and spare > 0:
        scale_up(limbs, _power(spare if spare < 4 else 4), 0)
        spare -= 4
    store_limbs(col, at, limbs, is_negative)
    return OK
