"""Arrow arrays as text: the one spelling of values that CSV files and row hashes share.

Whole arrays at a time; no Python object per value, except for dates and times outside the years
that Arrow can spell. The spelling must never change: row hashes that people have stored depend on
it, and `manifest.ROW_HASH_RENDER` names it.

| type | text |
|---|---|
| bool | `true`, `false` |
| floats | shortest text that reads back equal: `1.0`, `1e-7`, `NaN`, `inf`, `-inf` |
| decimals | plain digits at full scale, never an exponent |
| date | `2024-02-29`; years before 1 are astronomical (`-0043` is 44 BC, `0000` is 1 BC) |
| time | `13:05:00.000000`, with nine digits for nanoseconds; `-` and hours above 23 where stored |
| timestamp | `2024-02-29T13:05:00.000000`, and `Z` at the end of instants |
| binary | lower-case hex | uuid | lower-case with hyphens |
| lists | JSON: numbers and booleans bare, everything else as JSON strings, missing as `null` |
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pyarrow as pa  # noqa: TID253 - Arrow is what this module is about
import pyarrow.compute as pc  # noqa: TID253

if TYPE_CHECKING:
    from collections.abc import Callable

# What Arrow's own casts spell right: the years -32767 to 32767, less a day at either end.
_SAFE_DAYS: Final = (-12_687_427, 11_248_736)
_DAY_S: Final = 86_400
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DIGITS: Final = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_PLAIN_SCALE: Final = 6  # up to this scale Arrow never writes an exponent
_UUID_BYTES: Final = 16
_JSON_BARE: Final = (pa.types.is_integer, pa.types.is_decimal, pa.types.is_boolean)


def is_renderable(data_type: pa.DataType) -> bool:
    """Return whether values of the type have a text form here."""
    if isinstance(data_type, pa.BaseExtensionType):
        return isinstance(data_type, (pa.UuidType, pa.JsonType))
    if pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
        inner = data_type.value_type
        return not pa.types.is_nested(inner) and is_renderable(inner)
    if pa.types.is_timestamp(data_type):
        return data_type.tz in (None, "UTC")
    return any(is_kind(data_type) for is_kind, _ in _RENDERERS)


def text_array(array: pa.Array) -> pa.Array:
    """Return the text of every value; missing values stay missing.

    Args:
        array: Of a type `is_renderable` accepts.

    Returns:
        A string array of the same length.

    Raises:
        pyarrow.ArrowException: The text of one array is over 2 GiB.
        TypeError: The type has no text form.
    """
    if isinstance(array.type, pa.UuidType):
        return _uuid_text(array.storage)
    if isinstance(array.type, pa.JsonType):
        return text_array(array.storage)
    for is_kind, render in _RENDERERS:
        if is_kind(array.type):
            return render(array)
    msg = f"{array.type} has no text form"
    raise TypeError(msg)


def _same(array: pa.Array) -> pa.Array:
    return array


def _cast(array: pa.Array) -> pa.Array:
    return array.cast(pa.string())


def _float_text(array: pa.Array) -> pa.Array:
    text = pc.replace_substring_regex(array.cast(pa.string()), r"^(-?[0-9]+)$", r"\1.0")
    return pc.replace_substring(text, "nan", "NaN")


def _decimal_text(array: pa.Array) -> pa.Array:
    scale = array.type.scale
    if 0 <= scale <= _PLAIN_SCALE:
        return array.cast(pa.string())
    maker = pa.decimal128 if pa.types.is_decimal128(array.type) else pa.decimal256
    whole_type = maker(array.type.precision, 0)
    whole = pa.Array.from_buffers(whole_type, len(array), array.buffers(), offset=array.offset)
    text = whole.cast(pa.string())
    if scale < 0:
        zero = pc.equal(text, "0")
        return pc.if_else(zero, text, _join(text, "0" * -scale))
    digits = pc.utf8_lpad(pc.utf8_ltrim(text, "-"), scale + 1, "0")
    sign = pc.if_else(pc.starts_with(text, "-"), "-", "")
    before = pc.utf8_slice_codeunits(digits, 0, -scale)
    return _join(sign, before, ".", pc.utf8_slice_codeunits(digits, -scale))


def _join(*pieces: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*pieces, "")


def _date_text(array: pa.Array) -> pa.Array:
    days = array.view(pa.int32())
    if _is_within(days, *_SAFE_DAYS):
        return array.cast(pa.string())
    return pa.array([None if day is None else civil_date(day) for day in days.to_pylist()])


def _timestamp_text(array: pa.Array) -> pa.Array:
    unit = array.type.unit
    ticks = array.view(pa.int64())
    per_day = _PER_SECOND[unit] * _DAY_S
    if _is_within(ticks, _SAFE_DAYS[0] * per_day, _SAFE_DAYS[1] * per_day):
        return pc.replace_substring(array.cast(pa.string()), " ", "T", max_replacements=1)
    zone = "Z" if array.type.tz else ""
    return pa.array(
        [
            None
            if tick is None
            else f"{civil_date(tick // per_day)}T{_clock(tick % per_day, unit)}{zone}"
            for tick in ticks.to_pylist()
        ]
    )


def _time_text(array: pa.Array) -> pa.Array:
    unit = array.type.unit
    ticks = array.view(pa.int32() if pa.types.is_time32(array.type) else pa.int64())
    if _is_within(ticks, 0, _PER_SECOND[unit] * _DAY_S - 1):
        return array.cast(pa.string())
    return pa.array([None if tick is None else _clock(tick, unit) for tick in ticks.to_pylist()])


def _is_within(numbers: pa.Array, low: int, high: int) -> bool:
    bounds = pc.min_max(numbers)
    least, most = bounds["min"].as_py(), bounds["max"].as_py()
    return least is None or (low <= least and most <= high)


def civil_date(day: int) -> str:
    """Return the proleptic Gregorian date of a day number; day 0 is 1970-01-01.

    Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    """
    era, of_era = divmod(day + 719_468, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9  # noqa: PLR2004 - March is month 0
    year = year_of_era + era * 400 + (month <= 2)  # noqa: PLR2004
    sign = "-" if year < 0 else ""
    return f"{sign}{abs(year):04d}-{month:02d}-{of_year - (153 * shifted + 2) // 5 + 1:02d}"


def _clock(ticks: int, unit: str) -> str:
    sign, ticks = ("-", -ticks) if ticks < 0 else ("", ticks)
    seconds, fraction = divmod(ticks, _PER_SECOND[unit])
    digits = _DIGITS[unit]
    tail = f".{fraction:0{digits}d}" if digits else ""
    hours, rest = divmod(seconds, 3600)
    return f"{sign}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}{tail}"


def _hex_text(array: pa.Array) -> pa.Array:
    array = array.cast(pa.binary())
    if len(array) == 0:
        return pa.array([], pa.string())
    _, offsets, data = array.buffers()
    starts = pa.Array.from_buffers(pa.int32(), len(array) + 1, [None, offsets], offset=array.offset)
    first, last = starts[0].as_py(), starts[len(array)].as_py()
    digits = b"" if data is None else memoryview(data)[first:last].hex().encode()
    doubled = pc.multiply_checked(pc.subtract(starts, starts[0]), pa.scalar(2, pa.int32()))
    text = pa.StringArray.from_buffers(len(array), doubled.buffers()[1], pa.py_buffer(digits))
    return _with_nulls_of(text, array)


def _uuid_text(storage: pa.Array) -> pa.Array:
    digits = _hex_text(storage)
    bounds = (0, 8, 12, 16, 20, 32)
    pieces = [pc.utf8_slice_codeunits(digits, start, stop) for start, stop in pairwise(bounds)]
    return pc.binary_join_element_wise(*pieces, "-")


def _with_nulls_of(text: pa.Array, array: pa.Array) -> pa.Array:
    if array.null_count == 0:
        return text
    return pc.if_else(array.is_valid(), text, pa.scalar(None, text.type))


def _list_text(array: pa.Array) -> pa.Array:
    values = array.flatten()
    text = text_array(values)
    if pa.types.is_floating(values.type):
        text = pc.if_else(pc.is_finite(values), text, _quoted(text))
    elif not any(is_kind(values.type) for is_kind in _JSON_BARE):
        text = _quoted(text)
    text = pc.fill_null(text, "null")
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum_checked(lengths)])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text.cast(pa.string())), ",")
    return _with_nulls_of(_join("[", joined, "]"), array)


def _quoted(text: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(text, r"[\x00-\x1f]")).as_py():
        return pa.array(
            [
                None if value is None else json.dumps(value, ensure_ascii=False)
                for value in text.to_pylist()
            ],
            pa.string(),
        )
    escaped = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    return _join('"', escaped, '"')


_RENDERERS: Final[
    tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...]
] = (
    (pa.types.is_string, _same),
    (pa.types.is_large_string, _same),
    (pa.types.is_boolean, _cast),
    (pa.types.is_integer, _cast),
    (pa.types.is_floating, _float_text),
    (pa.types.is_decimal, _decimal_text),
    (pa.types.is_date32, _date_text),
    (pa.types.is_time, _time_text),
    (pa.types.is_timestamp, _timestamp_text),
    (pa.types.is_binary, _hex_text),
    (pa.types.is_fixed_size_binary, _hex_text),
    (pa.types.is_list, _list_text),
    (pa.types.is_large_list, _list_text),
)
