"""Random values as SQL literals: edges first, then anything of the type."""

# Moments here are wall clocks: a database has its own idea of zones.
# ruff: noqa: DTZ001

from __future__ import annotations

import datetime as dt
import math
import struct
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

Literals = st.SearchStrategy[str]

_MOMENT = dt.datetime(2024, 3, 31, 2, 30)


def edges(*values: str, more: Literals) -> Literals:
    return st.one_of(st.sampled_from(values), more)


def integers(low: int, high: int) -> Literals:
    near = {low, low + 1, -1, 0, 1, high - 1, high}
    return edges(
        *(str(one) for one in sorted(near) if low <= one <= high),
        more=st.integers(low, high).map(str),
    )


def decimals(precision: int, scale: int) -> Literals:
    most = 10**precision - 1

    def spelled(digits: int) -> str:
        return f"{Decimal((digits < 0, tuple(map(int, str(abs(digits)))), -scale)):f}"

    near = [spelled(one) for one in (-most, -1, 0, 1, most)]
    return edges(*near, more=st.integers(-most, most).map(spelled))


def doubles() -> Literals:
    def is_finite(value: float) -> bool:
        return math.isfinite(value)

    bits = st.binary(min_size=8, max_size=8).map(lambda b: struct.unpack("<d", b)[0])
    return edges(
        "0.1",
        "5e-324",
        "1.7976931348623157e308",
        "-2.2250738585072014e-308",
        "9007199254740993",
        more=bits.filter(is_finite).map(repr),
    )


def floats() -> Literals:
    bits = st.binary(min_size=4, max_size=4).map(lambda b: struct.unpack("<f", b)[0])
    return edges(
        "0.1", "16777217", "3.4028234663852886e38", more=bits.filter(math.isfinite).map(repr)
    )


def texts(
    *, size: int, backslashes: bool = False, highest: int = 0x10FFFF, lowest: int = 1
) -> Literals:
    """Quoted texts of at most so many characters."""
    alphabet = st.characters(
        min_codepoint=lowest, max_codepoint=highest, exclude_categories=("Cs",)
    )
    awkward = ["", " ", "NULL", "null", "a'b", 'a"b', "a\\b", "%s", "{}", "a,b", "tab\t", "x\ny"]
    if highest > 0xFFFF:
        awkward += ["😀", "é"]
    short = [one for one in awkward if len(one) <= size and all(ord(c) >= lowest for c in one)]
    anything = st.one_of(st.sampled_from(short), st.text(alphabet, max_size=size))
    return anything.map(lambda text: quoted(text, backslashes=backslashes))


def quoted(text: str, *, backslashes: bool = False) -> str:
    if backslashes:
        text = text.replace("\\", "\\\\")
    return "'" + text.replace("'", "''") + "'"


def blobs(prefix: str, suffix: str, size: int) -> Literals:
    return st.binary(max_size=size).map(lambda data: f"{prefix}{data.hex()}{suffix}")


def dates(low: dt.date = dt.date(1, 1, 1), high: dt.date = dt.date(9999, 12, 31)) -> Literals:
    near = (low, dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2024, 2, 29), high)
    return edges(*(f"'{d}'" for d in near), more=st.dates(low, high).map(lambda d: f"'{d}'"))


def times(digits: int = 6) -> Literals:
    return edges(
        "'00:00:00'",
        "'23:59:59'",
        more=st.times().map(lambda t: f"'{cut(t.isoformat('microseconds'), digits)}'"),
    )


def moments(
    low: dt.datetime = dt.datetime(1, 1, 1),
    high: dt.datetime = dt.datetime(9999, 12, 31, 23, 59, 59),
    digits: int = 6,
    zone: str = "",
) -> Literals:
    def spelled(moment: dt.datetime) -> str:
        return f"'{cut(moment.isoformat(' ', 'microseconds'), digits)}{zone}'"

    near = [low, dt.datetime(1969, 12, 31, 23, 59, 59, 999999), _MOMENT, high]
    inside = [spelled(one) for one in near if low <= one <= high]
    return edges(*inside, more=st.datetimes(low, high).map(spelled))


def cut(text: str, digits: int) -> str:
    """Leave so many digits of a fraction of six."""
    head, _, fraction = text.partition(".")
    return f"{head}.{fraction[:digits]}" if digits else head


def uuids(version: int | None = None) -> Literals:
    return st.uuids(version=version).map(lambda one: quoted(str(one)))


def choices(labels: Sequence[str]) -> Literals:
    return st.sampled_from([quoted(one) for one in labels])


def documents() -> Literals:
    return st.sampled_from(
        [
            "'null'",
            "'{}'",
            "'[1, 1e10,  123456789012345678]'",
            '\'{"b": 1, "a":  "😀"}\'',
            "'\"x\"'",
        ]
    )
