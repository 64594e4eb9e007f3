r"""JSON text, checked: what every reader of RFC 8259 takes.

Databases take more. PostgreSQL's `json` keeps half of a surrogate pair (`"\ud800"`), which is no
character, and MariaDB takes `-1.`; one such value under a label of JSON makes a whole column
unreadable to DuckDB.

Source:
    RFC 8259, sections 2 to 7; RFC 3629, section 3, for surrogates.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A grammar is numbers and refusals.
# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR1714, PLR2004

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.native import (
        BAD_JSON,
        BATCH_TOO_LARGE,
        MAX_OFFSET,
        NO_ROOM,
        ColumnRef,
        Source,
        Store,
        load_offset,
    )
    from cython.cimports.rivet.wire.scalars import text
else:
    from .plain import (
        BAD_JSON,
        BATCH_TOO_LARGE,
        MAX_OFFSET,
        NO_ROOM,
        ColumnRef,
        Source,
        Store,
        load_offset,
    )
    from .scalars import text


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _past_blank(src: Source, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while at < end and (src[at] == 32 or src[at] == 10 or src[at] == 13 or src[at] == 9):
        at += 1
    return at


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _past_digits(src: Source, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while at < end and 48 <= src[at] <= 57:
        at += 1
    return at


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _unit(src: Source, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """Return the four hex digits of an escape; -1 where there are none."""
    index: cython.int
    byte: cython.int
    found: cython.int = 0
    if at + 4 > end:
        return -1
    for index in range(4):
        byte = src[at + index]
        if 48 <= byte <= 57:
            byte -= 48
        elif 97 <= byte <= 102:
            byte -= 87
        elif 65 <= byte <= 70:
            byte -= 55
        else:
            return -1
        found = found * 16 + byte
    return found


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _past_string(src: Source, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return the place behind a string whose opening quote is before `at`; -1 where it is none."""
    byte: cython.int
    unit: cython.int
    while at < end:
        byte = src[at]
        at += 1
        if byte == 34:
            return at
        if byte < 32:
            return -1
        if byte != 92:
            continue
        if at >= end:
            return -1
        byte = src[at]
        at += 1
        if byte != 117:
            # " / \ b f n r t
            if byte not in (34, 47, 92, 98, 102, 110, 114, 116):
                return -1
            continue
        unit = _unit(src, at, end)
        at += 4
        if unit < 0 or 0xDC00 <= unit <= 0xDFFF:
            return -1
        if 0xD800 <= unit <= 0xDBFF:
            if at + 6 > end or src[at] != 92 or src[at + 1] != 117:
                return -1
            unit = _unit(src, at + 2, end)
            if unit < 0xDC00 or unit > 0xDFFF:
                return -1
            at += 6
    return -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _past_number(src: Source, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return the place behind a number; -1 where it is none."""
    start: cython.Py_ssize_t
    if src[at] == 45:
        at += 1
    start = at
    at = _past_digits(src, at, end)
    if at == start or (src[start] == 48 and at > start + 1):
        return -1
    if at < end and src[at] == 46:
        start = at + 1
        at = _past_digits(src, start, end)
        if at == start:
            return -1
    if at < end and (src[at] == 101 or src[at] == 69):
        at += 1
        if at < end and (src[at] == 43 or src[at] == 45):
            at += 1
        start = at
        at = _past_digits(src, start, end)
        if at == start:
            return -1
    return at


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _past_word(src: Source, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return the place behind `true`, `false` or `null`; -1 where it is none of them."""
    if at + 4 <= end:
        if src[at] == 116 and src[at + 1] == 114 and src[at + 2] == 117 and src[at + 3] == 101:
            return at + 4
        if src[at] == 110 and src[at + 1] == 117 and src[at + 2] == 108 and src[at + 3] == 108:
            return at + 4
    if at + 5 > end or src[at] != 102 or src[at + 1] != 97 or src[at + 2] != 108:
        return -1
    return at + 5 if src[at + 3] == 115 and src[at + 4] == 101 else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_json(
    src: Source,
    at: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    stack: Store,
    base: cython.Py_ssize_t,
) -> cython.bint:
    """Return whether bytes are one JSON text; `stack` has room for one byte each from `base` on."""
    # 0 a value, 1 a value or the end of an array, 2 a key, 3 a key or the end of an object,
    # 4 what follows a value
    wanted: cython.int = 0
    depth: cython.Py_ssize_t = 0
    byte: cython.int
    while True:
        at = _past_blank(src, at, end)
        if at >= end:
            return wanted == 4 and depth == 0
        byte = src[at]
        if wanted == 4:
            if depth == 0:
                return False
            at += 1
            if byte == 44:
                wanted = 2 if stack[base + depth - 1] == 125 else 0
            elif byte == stack[base + depth - 1]:
                depth -= 1
            else:
                return False
        elif (wanted == 1 and byte == 93) or (wanted == 3 and byte == 125):
            at += 1
            depth -= 1
            wanted = 4
        elif wanted >= 2:
            if byte != 34:
                return False
            at = _past_string(src, at + 1, end)
            if at < 0:
                return False
            at = _past_blank(src, at, end)
            if at >= end or src[at] != 58:
                return False
            at += 1
            wanted = 0
        elif byte == 123 or byte == 91:
            # What closes it: two more than what opens it, in both forms.
            stack[base + depth] = cython.cast(cython.uchar, byte + 2)
            depth += 1
            at += 1
            wanted = 3 if byte == 123 else 1
        else:
            if byte == 34:
                at = _past_string(src, at + 1, end)
            elif byte == 45 or 48 <= byte <= 57:
                at = _past_number(src, at, end)
            else:
                at = _past_word(src, at, end)
            if at < 0:
                return False
            wanted = 4


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def json(
    col: ColumnRef,
    at: cython.Py_ssize_t,
    src: Source,
    pos: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """Text in UTF-8 that is JSON. See `scalars` for the contract of a decoder.

    Its own place in the column serves as the stack before the value is copied there: nothing is
    nested deeper than it is long.
    """
    start: cython.Py_ssize_t = load_offset(col.offsets, at)
    if length > col.data_room - start:
        if length > MAX_OFFSET - start:
            return BATCH_TOO_LARGE
        col.wanted_bytes = start + length
        return NO_ROOM
    if not _is_json(src, pos, pos + length, col.data, start):
        return BAD_JSON
    return text(col, at, src, pos, length)
