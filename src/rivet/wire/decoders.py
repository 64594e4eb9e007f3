"""Which function decodes a cell: one table for the forms of every protocol."""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# A table of functions is a list of ifs to a compiler.
# ruff: noqa: C901, PLR0911, PLR0912, PLR2004

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.arrays import array
    from cython.cimports.rivet.wire.interval import any_interval, finite_interval, interval
    from cython.cimports.rivet.wire.jsontext import json
    from cython.cimports.rivet.wire.mysqlnumbers import (
        bit_boolean,
        bits,
        text_boolean,
        text_decimal,
        text_integer,
        text_unsigned,
    )
    from cython.cimports.rivet.wire.mysqltimes import text_date, text_time, text_timestamp
    from cython.cimports.rivet.wire.native import DecodeCell
    from cython.cimports.rivet.wire.numeric import decimal
    from cython.cimports.rivet.wire.scalars import (
        boolean,
        date,
        fixed2,
        fixed4,
        fixed8,
        geometry,
        jsonb,
        oid,
        raw,
        text,
        text_uuid,
        time,
        timestamp,
        uuid,
    )
else:
    from .arrays import array
    from .interval import any_interval, finite_interval, interval
    from .jsontext import json
    from .mysqlnumbers import (
        bit_boolean,
        bits,
        text_boolean,
        text_decimal,
        text_integer,
        text_unsigned,
    )
    from .mysqltimes import text_date, text_time, text_timestamp
    from .numeric import decimal
    from .plain import DecodeCell  # noqa: TC001 - the compiler needs it
    from .scalars import (
        boolean,
        date,
        fixed2,
        fixed4,
        fixed8,
        geometry,
        jsonb,
        oid,
        raw,
        text,
        text_uuid,
        time,
        timestamp,
        uuid,
    )


@cython.cfunc
@cython.exceptval(check=False)
def decoder_of(code: cython.int) -> DecodeCell:
    """Return the function of a `fields.Decoder`, by its number."""
    if code >= 32:
        return _of_text(code)
    if code == 1:
        return boolean
    if code == 2:
        return fixed2
    if code in (3, 6):
        return fixed4
    if code in (4, 7):
        return fixed8
    if code == 5:
        return oid
    if code == 8:
        return decimal
    if code == 9:
        return date
    if code == 10:
        return time
    if code == 11:
        return timestamp
    if code == 13:
        return raw
    if code == 14:
        return jsonb
    if code == 15:
        return uuid
    if code == 16:
        return interval
    if code == 17:
        return array
    if code == 18:
        return json
    if code == 19:
        return any_interval
    if code == 20:
        return finite_interval
    return text


@cython.cfunc
@cython.exceptval(check=False)
def _of_text(code: cython.int) -> DecodeCell:
    if code == 32:
        return text_boolean
    if code in (33, 34, 35):
        return text_integer
    if code == 36:
        return text_unsigned
    if code == 39:
        return text_decimal
    if code == 40:
        return text_date
    if code == 41:
        return text_time
    if code == 42:
        return text_timestamp
    if code == 43:
        return text_uuid
    if code == 44:
        return bit_boolean
    if code == 45:
        return bits
    if code == 46:
        return geometry
    # Floats: their texts are kept as they are, and read when the batch is taken.
    return raw
