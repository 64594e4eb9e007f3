"""SQLite's values as Arrow arrays: one function per logical type, every value checked.

Each function takes the values of one column of one batch, as the driver gave them, and returns the
whole array or raises; finding the value that does not fit is `read.py`'s business. Must not round,
cut or guess.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from rivet.model.arrow import arrow_type
from rivet.model.types import Kind, LogicalType, Unit
from rivet.sources.decimals import decimals_of_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Values = Sequence[Any]
    Convert = Callable[[Values], pa.Array]

_NONE: Final = type(None)
STORAGE: Final[dict[type, str]] = {
    int: "an integer",
    float: "a real",
    str: "a text",
    bytes: "a blob",
    _NONE: "NULL",
}

_INTEGER_TEXT: Final = r"^-?[0-9]{1,19}$"
_DECIMAL_TEXT: Final = r"^[+-]?[0-9]+(?:\.[0-9]+)?$"
_DATE_TEXT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME_TEXT: Final = r"^[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?$"
_UUID_TEXT: Final = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$|^[0-9a-fA-F]{32}$"
_ZONE_TEXT: Final = r"(?:Z|[+-][0-9]{2}:[0-9]{2})$"
_UUID_BYTES: Final = 16


class UnfitError(Exception):
    """A value does not fit its column.

    Attributes:
        reason: For people; says what the column takes, never what the value is.
        is_range: The value has the right form but the type cannot hold it (infinity, a year
            outside the type), so that the export's policies for such values apply.
    """

    def __init__(self, reason: str, *, is_range: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_range = is_range


def converter(logical: LogicalType, *, is_overridden: bool) -> Convert:
    """Return the function that turns a column's values into its Arrow array.

    Args:
        logical: The column's type.
        is_overridden: The user chose the type, so forms that need a choice are read as well:
            integers as Unix seconds in timestamps, digits in text as integers.

    Returns:
        A function that raises `UnfitError` or `pyarrow.ArrowInvalid` when one value does not fit.
    """
    target = arrow_type(logical)
    match logical.kind:
        case Kind.FLOAT32 | Kind.FLOAT64 | Kind.DECIMAL | Kind.TIME:
            return partial(_SIZED[logical.kind], target=target)
        case Kind.INT16 | Kind.INT32 | Kind.INT64 | Kind.UINT64:
            return partial(_integers, target=target, is_overridden=is_overridden)
        case Kind.TIMESTAMP:
            digits = 9 if logical.unit is Unit.NANOSECOND else 6
            return partial(_timestamps, target=target, digits=digits, is_overridden=is_overridden)
        case _:
            return _PLAIN[logical.kind]


def _types(values: Values) -> set[type]:
    found = set(map(type, values))
    found.discard(_NONE)
    return found


def _require(values: Values, allowed: frozenset[type], takes: str) -> set[type]:
    found = _types(values)
    if not found <= allowed:
        other = STORAGE[next(iter(found - allowed))]
        msg = f"{other} value where the column takes {takes}"
        raise UnfitError(msg)
    return found


def _require_form(texts: pa.Array, pattern: str, takes: str) -> None:
    fits = pc.match_substring_regex(texts, pattern)
    if pc.all(fits, min_count=0).as_py() is False:
        msg = f"a text that is not {takes}"
        raise UnfitError(msg)


_INT = frozenset({int})
_INT_TEXT = frozenset({int, str})
_NUMBER = frozenset({int, float})
_NUMBER_TEXT = frozenset({int, float, str})
_TEXT = frozenset({str})
_BLOB = frozenset({bytes})
_UUID = frozenset({str, bytes})


def _bools(values: Values) -> pa.Array:
    _require(values, _INT, "0 or 1")
    numbers = pa.array(values, pa.int64())
    bounds = pc.min_max(numbers).as_py()
    if bounds["min"] is not None and (bounds["min"] < 0 or bounds["max"] > 1):
        msg = "an integer other than 0 and 1 in a boolean column"
        raise UnfitError(msg)
    return numbers.cast(pa.bool_())


def _integers(values: Values, *, target: pa.DataType, is_overridden: bool) -> pa.Array:
    found = _require(values, _INT_TEXT if is_overridden else _INT, "integers")
    if str in found:
        texts = _spelled(values)
        _require_form(texts, _INTEGER_TEXT, "an integer")
        return _ranged(texts, target)
    try:
        return pa.array(values, target)
    except (pa.ArrowInvalid, OverflowError):
        msg = f"an integer outside {target}"
        raise UnfitError(msg, is_range=True) from None


def _ranged(array: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        msg = f"a value outside {target}"
        raise UnfitError(msg, is_range=True) from None


def _floats(values: Values, *, target: pa.DataType) -> pa.Array:
    found = _require(values, _NUMBER, "numbers")
    if int in found:
        reals = [v if v is None else float(v) for v in values]
        # Python compares an integer with a float exactly.
        if reals != list(values):
            msg = f"an integer that {target} cannot hold exactly"
            raise UnfitError(msg, is_range=True)
        values = reals
    wide = pa.array(values, pa.float64())
    if target == pa.float64():
        return wide
    narrow = wide.cast(target)
    if not narrow.cast(pa.float64()).equals(wide):
        msg = f"a real that {target} cannot hold exactly"
        raise UnfitError(msg, is_range=True)
    return narrow


def _decimals(values: Values, *, target: pa.DataType) -> pa.Array:
    found = _require(values, _NUMBER_TEXT, "numbers")
    if found <= _TEXT:
        texts = pa.array(values, pa.string())
    else:
        if math.inf in values or -math.inf in values:
            msg = "an infinity in a decimal column"
            raise UnfitError(msg, is_range=True)
        # The shortest text that reads back as the same real is the value its writer meant.
        texts = _spelled(values)
    if str in found:
        own = pa.array([v if type(v) is str else None for v in values], pa.string())
        _require_form(own, _DECIMAL_TEXT, "a plain decimal number")
    try:
        return decimals_of_texts(texts, target)
    except pa.ArrowInvalid:
        msg = f"a number with more digits than decimal({target.precision},{target.scale}) holds"
        raise UnfitError(msg) from None


def _dates(values: Values) -> pa.Array:
    _require(values, _TEXT, "ISO dates as text")
    texts = pa.array(values, pa.string())
    _require_form(texts, _DATE_TEXT, "a date as YYYY-MM-DD")
    return _calendar(texts, pa.date32())


def _times(values: Values, *, target: pa.DataType) -> pa.Array:
    _require(values, _TEXT, "ISO times as text")
    texts = pa.array(values, pa.string())
    _require_form(texts, _TIME_TEXT, "a time as HH:MM:SS with at most 6 digits of fraction")
    moments = pc.binary_join_element_wise(pa.scalar("1970-01-01 "), texts, "")
    return _calendar(moments, pa.timestamp(target.unit)).cast(target)


def _timestamps(
    values: Values, *, target: pa.DataType, digits: int, is_overridden: bool
) -> pa.Array:
    found = _require(values, _INT_TEXT if is_overridden else _TEXT, "ISO timestamps as text")
    if int not in found:
        return _moments(pa.array(values, pa.string()), target, digits)
    texts = pa.array([v if type(v) is str else None for v in values], pa.string())
    numbers = pa.array([v if type(v) is int else None for v in values], pa.int64())
    seconds = numbers.cast(pa.timestamp("s", tz=target.tz))
    return pc.coalesce(_moments(texts, target, digits), _ranged(seconds, target))


def _moments(texts: pa.Array, target: pa.DataType, digits: int) -> pa.Array:
    zone = r"(?:Z|[+-][0-9]{2}:[0-9]{2})?" if target.tz else ""
    form = (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
        rf"(?:[ T][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,{digits}}})?)?{zone})?$"
    )
    zones = "with or without" if target.tz else "without"
    takes = f"an ISO timestamp {zones} a zone, with at most {digits} digits of fraction"
    _require_form(texts, form, takes)
    if target.tz:
        is_zoned = pc.match_substring_regex(texts, r"[ T].*" + _ZONE_TEXT)
        is_short = pc.equal(pc.utf8_length(texts), 10)
        suffix = pc.if_else(is_short, pa.scalar(" 00:00Z"), pa.scalar("Z"))
        zoned = pc.binary_join_element_wise(texts, suffix, "")
        texts = pc.if_else(is_zoned, texts, zoned)
    return _calendar(texts, target)


def _calendar(texts: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return texts.cast(target)
    except pa.ArrowInvalid:
        msg = f"a text that is no moment of the calendar, or none that {target} can hold"
        raise UnfitError(msg, is_range=True) from None


def _strings(values: Values) -> pa.Array:
    found = _require(values, _NUMBER_TEXT, "text; a blob has no text form")
    if not found <= _TEXT:
        values = [_text_form(v) if type(v) in _NUMBER else v for v in values]
    return pa.array(values, pa.string())


def _spelled(values: Values) -> pa.Array:
    if None in values:
        return pa.array([v if v is None else str(v) for v in values], pa.string())
    return pa.array(list(map(str, values)), pa.string())


def _text_form(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _json(values: Values) -> pa.Array:
    found = _require(values, _NUMBER_TEXT, "JSON as text")
    if float in found and (math.inf in values or -math.inf in values):
        msg = "an infinity in a JSON column"
        raise UnfitError(msg)
    # SQLite itself turns a JSON number into an INTEGER or REAL: the affinity of JSON is NUMERIC.
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), _strings(values))


def _binaries(values: Values) -> pa.Array:
    _require(values, _BLOB, "blobs")
    return pa.array(values, pa.binary())


def _uuids(values: Values) -> pa.Array:
    found = _require(values, _UUID, "UUIDs")
    if str in found:
        texts = pa.array([v if type(v) is str else None for v in values], pa.string())
        _require_form(texts, _UUID_TEXT, "a UUID")
        values = [bytes.fromhex(v.replace("-", "")) if type(v) is str else v for v in values]
    if any(len(v) != _UUID_BYTES for v in values if v is not None):
        msg = "a blob that is not the 16 bytes of a UUID"
        raise UnfitError(msg)
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(_UUID_BYTES)))


_SIZED: Final[dict[Kind, Callable[..., pa.Array]]] = {
    Kind.FLOAT32: _floats,
    Kind.FLOAT64: _floats,
    Kind.DECIMAL: _decimals,
    Kind.TIME: _times,
}
_PLAIN: Final[dict[Kind, Convert]] = {
    Kind.BOOL: _bools,
    Kind.DATE: _dates,
    Kind.STRING: _strings,
    Kind.ENUM: _strings,
    Kind.JSON: _json,
    Kind.BINARY: _binaries,
    Kind.UUID: _uuids,
}
