"""Cell decoders of dates and times as MySQL and MariaDB send them: text in fixed places.

Zero dates, dates with a zero month or day, and days that no month has are values of these servers
that no file can hold: OUT_OF_RANGE, for the column's policy to judge. So is a TIME that is no time
of a day, for it is a signed span. See `scalars` for the contract of a decoder.

Source:
    MySQL manual, "The DATE, DATETIME, and TIMESTAMP Types" and "The TIME Type".
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A wire format is numbers, and a decoder is a list of refusals.
# ruff: noqa: PLR1714, PLR2004

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.native import (
        BAD_WIDTH,
        DAY_US,
        HOUR_US,
        MALFORMED,
        MOST_NANO_US,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        store32,
        store64,
    )
else:
    from .plain import (
        BAD_WIDTH,
        DAY_US,
        HOUR_US,
        MALFORMED,
        MOST_NANO_US,
        OK,
        OUT_OF_RANGE,
        ColumnRef,
        Source,
        store32,
        store64,
    )


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _pair(src: Source, pos: cython.Py_ssize_t) -> cython.int:
    """Return the number that two digits spell, or -1."""
    tens: cython.int = src[pos] - 48
    units: cython.int = src[pos + 1] - 48
    if tens < 0 or tens > 9 or units < 0 or units > 9:
        return -1
    return 10 * tens + units


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _month_days(year: cython.int, month: cython.int) -> cython.int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _days(year: cython.int, month: cython.int, day: cython.int) -> cython.int:
    """Return the days from 1970-01-01 to a date of the years 0 to 9999.

    Years are counted from March, so that the leap day is the last of one, and from 400 years
    earlier, so that nothing is negative.
    """
    march: cython.int = year + 400 - (1 if month <= 2 else 0)
    of_year: cython.int = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return 365 * march + march // 4 - march // 100 + march // 400 + of_year - 719468 - 146097


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _date(src: Source, pos: cython.Py_ssize_t) -> cython.longlong:
    """Return the days of `YYYY-MM-DD`; OUT_OF_RANGE or MALFORMED, negated far below any day."""
    century: cython.int = _pair(src, pos)
    year: cython.int = _pair(src, pos + 2)
    month: cython.int = _pair(src, pos + 5)
    day: cython.int = _pair(src, pos + 8)
    if century < 0 or year < 0 or month < 0 or day < 0 or src[pos + 4] != 45 or src[pos + 7] != 45:
        return -1_000_000_000 - MALFORMED
    year += 100 * century
    if month < 1 or month > 12 or day < 1 or day > _month_days(year, month):
        return -1_000_000_000 - OUT_OF_RANGE
    return _days(year, month, day)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _clock(src: Source, pos: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.longlong:
    """Return the microseconds of `:MM:SS` and a fraction of up to six digits; -1 for no such text.

    Args:
        src: The bytes.
        pos: Where the colon before the minutes stands.
        end: Behind the text.
    """
    minutes: cython.int
    seconds: cython.int
    digit: cython.int
    fraction: cython.int = 0
    left: cython.int = 6
    if end - pos < 6 or src[pos] != 58 or src[pos + 3] != 58:
        return -1
    minutes = _pair(src, pos + 1)
    seconds = _pair(src, pos + 4)
    if minutes < 0 or minutes > 59 or seconds < 0 or seconds > 59:
        return -1
    pos += 6
    if pos < end:
        if src[pos] != 46 or end - pos < 2 or end - pos > 7:
            return -1
        pos += 1
        while pos < end:
            digit = src[pos] - 48
            if digit < 0 or digit > 9:
                return -1
            fraction = 10 * fraction + digit
            left -= 1
            pos += 1
        while left > 0:
            fraction *= 10
            left -= 1
    return cython.cast(cython.longlong, 60 * minutes + seconds) * 1_000_000 + fraction


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_date(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """`YYYY-MM-DD` to days since 1970-01-01."""
    days: cython.longlong
    if length != 10:
        return BAD_WIDTH
    days = _date(src, pos)
    if days < -500_000_000:
        return cython.cast(cython.int, -1_000_000_000 - days)
    store32(col.data, at, cython.cast(cython.int, days))
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_timestamp(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """`YYYY-MM-DD HH:MM:SS[.ffffff]`, or a date alone, to the column's unit since 1970-01-01."""
    micros: cython.longlong = 0
    days: cython.longlong
    hours: cython.int
    if length != 10 and (length < 19 or length > 26 or length == 20):
        return BAD_WIDTH
    days = _date(src, pos)
    if days == -1_000_000_000 - MALFORMED:
        return MALFORMED
    if length > 10:
        hours = _pair(src, pos + 11)
        micros = _clock(src, pos + 13, pos + length)
        if src[pos + 10] != 32 or hours < 0 or hours > 23 or micros < 0:
            return MALFORMED
        micros += hours * HOUR_US
    if days < -500_000_000:
        return OUT_OF_RANGE
    micros += days * DAY_US
    if col.is_nano:
        if micros < -MOST_NANO_US or micros > MOST_NANO_US:
            return OUT_OF_RANGE
        micros *= 1000
    store64(col.data, at, micros)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def text_time(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """`[-][H]HH:MM:SS[.ffffff]` to the column's unit since midnight, if it is a time of a day."""
    end: cython.Py_ssize_t = pos + length
    hours: cython.int
    micros: cython.longlong
    is_negative: cython.bint
    if length < 8 or length > 17:
        return BAD_WIDTH
    is_negative = src[pos] == 45
    if is_negative:
        pos += 1
    hours = _pair(src, pos)
    pos += 2
    if hours >= 0 and 48 <= src[pos] <= 57:
        hours = 10 * hours + (src[pos] - 48)
        pos += 1
    micros = _clock(src, pos, end)
    if hours < 0 or micros < 0:
        return MALFORMED
    micros += hours * HOUR_US
    # A span of -0 is written without a sign, so a sign always means less than midnight.
    if is_negative or micros >= DAY_US:
        return OUT_OF_RANGE
    store64(col.data, at, micros * 1000 if col.is_nano else micros)
    return OK
