"""The text of values: every type, edges, slices."""

from __future__ import annotations

import json
import math
import uuid
from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivet.model.arrowtext import civil_date, is_renderable, text_array

DAY_US = 86_400_000_000


def texts(values, data_type) -> list[str | None]:
    array = pa.array(values, data_type)
    whole = text_array(array).to_pylist()
    padded = pa.concat_arrays([array[:1], array, array[:1]])
    assert text_array(padded.slice(1, len(array))).to_pylist() == whole
    assert text_array(array[:0]).to_pylist() == []
    return whole


def ticks(values, data_type) -> list[str | None]:
    storage = pa.int32() if data_type in (pa.date32(), pa.time32("s")) else pa.int64()
    return text_array(pa.array(values, storage).cast(data_type)).to_pylist()


def test_booleans_and_integers() -> None:
    assert texts([True, None, False], pa.bool_()) == ["true", None, "false"]
    assert texts([2**64 - 1, None], pa.uint64()) == ["18446744073709551615", None]
    assert texts([-(2**63)], pa.int64()) == ["-9223372036854775808"]


def test_floats_are_the_shortest_text() -> None:
    values = [1.0, -0.0, 0.1, 1e-7, 1e300, 5e-324, math.nan, math.inf, -math.inf, None]
    assert texts(values, pa.float64()) == [
        *("1.0", "-0.0", "0.1", "1e-7", "1e+300", "5e-324", "NaN", "inf", "-inf"),
        None,
    ]
    assert texts([0.1, 16777216.0], pa.float32()) == ["0.1", "16777216.0"]


@given(st.floats(allow_nan=False))
def test_floats_read_back_equal(value) -> None:
    (text,) = texts([value], pa.float64())
    assert float(text) == value
    assert math.copysign(1, float(text)) == math.copysign(1, value)


@pytest.mark.parametrize("maker", [pa.decimal128, pa.decimal256])
def test_decimals_are_plain_at_full_scale(maker) -> None:
    assert texts([Decimal("1.5"), Decimal("-0.01"), None], maker(10, 2)) == ["1.50", "-0.01", None]
    wide = [Decimal("1e-30"), Decimal(0), Decimal("-1e-30"), Decimal("-12.5"), None]
    assert texts(wide, maker(38, 30)) == [
        "0.000000000000000000000000000001",
        "0.000000000000000000000000000000",
        "-0.000000000000000000000000000001",
        "-12.500000000000000000000000000000",
        None,
    ]
    assert texts([Decimal(1200), Decimal(0)], maker(5, -2)) == ["1200", "0"]


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
def test_a_decimal_reads_back_equal(unscaled, scale) -> None:
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    value = Decimal((int(unscaled < 0), digits, -scale))
    (text,) = texts([value], pa.decimal128(38, scale))
    assert Decimal(text) == value
    assert "E" not in text
    assert len(text.partition(".")[2]) == scale


def test_dates_of_any_year() -> None:
    assert ticks([0, -1, 19_782, None], pa.date32()) == [
        *("1970-01-01", "1969-12-31", "2024-02-29"),
        None,
    ]
    assert ticks([-719_162, -719_163, -719_528, -719_529], pa.date32()) == [
        *("0001-01-01", "0000-12-31", "0000-01-01", "-0001-12-31"),
    ]
    assert ticks([2_932_896, 2_932_897], pa.date32()) == ["9999-12-31", "10000-01-01"]
    # PostgreSQL's least and greatest date
    assert ticks([-2_440_588, 2_145_042_905], pa.date32()) == ["-4713-11-24", "5874897-12-31"]


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)))
def test_civil_dates_agree_with_the_standard_library(day) -> None:
    assert civil_date((day - date(1970, 1, 1)) // timedelta(days=1)) == day.isoformat()


@pytest.mark.parametrize("days", [-12_687_428, -12_687_427, -719_529, 0, 11_248_736, 11_248_737])
def test_arrow_and_our_own_dates_agree_at_the_border(days) -> None:
    (text,) = ticks([days], pa.date32())
    assert text == civil_date(days)
    assert ticks([days * DAY_US + 1], pa.timestamp("us")) == [f"{text}T00:00:00.000001"]
    assert ticks([days * DAY_US - 1], pa.timestamp("us")) == [
        f"{civil_date(days - 1)}T23:59:59.999999"
    ]


def test_timestamps_carry_their_zone_and_all_digits() -> None:
    assert ticks([0, -1, None], pa.timestamp("us")) == [
        *("1970-01-01T00:00:00.000000", "1969-12-31T23:59:59.999999"),
        None,
    ]
    assert ticks([-1], pa.timestamp("us", tz="UTC")) == ["1969-12-31T23:59:59.999999Z"]
    assert ticks([-1], pa.timestamp("ns", tz="UTC")) == ["1969-12-31T23:59:59.999999999Z"]
    assert ticks([2**63 - 1], pa.timestamp("us")) == ["294247-01-10T04:00:54.775807"]
    assert ticks([2**63 - 1], pa.timestamp("us", tz="UTC"))[0].endswith("Z")


def test_times_outside_the_day() -> None:
    assert ticks([1, DAY_US - 1, None], pa.time64("us")) == [
        *("00:00:00.000001", "23:59:59.999999"),
        None,
    ]
    assert ticks([1], pa.time64("ns")) == ["00:00:00.000000001"]
    assert ticks([DAY_US, 0], pa.time64("us")) == ["24:00:00.000000", "00:00:00.000000"]
    seconds = 838 * 3600 + 59 * 60 + 59
    assert ticks([-seconds * 1_000_000 - 5], pa.time64("us")) == ["-838:59:59.000005"]


def test_binary_and_uuid() -> None:
    assert texts([b"\x00\xff", b"", None, b"a"], pa.binary()) == ["00ff", "", None, "61"]
    value = uuid.UUID("0102030405060708090a0b0c0d0e0f10")
    storage = pa.array([value.bytes, None, uuid.UUID(int=0).bytes], pa.binary(16))
    array = pa.ExtensionArray.from_storage(pa.uuid(), storage)
    expected = [str(value), None, str(uuid.UUID(int=0))]
    assert text_array(array).to_pylist() == expected
    assert text_array(array.slice(1)).to_pylist() == expected[1:]


def test_lists_are_json() -> None:
    assert texts([[1, None, -2], None, []], pa.list_(pa.int32())) == ["[1,null,-2]", None, "[]"]
    assert texts([[0.5, math.nan, -math.inf]], pa.list_(pa.float64())) == ['[0.5,"NaN","-inf"]']
    assert texts([[True, None]], pa.list_(pa.bool_())) == ["[true,null]"]
    assert texts([[Decimal("1.50")]], pa.list_(pa.decimal128(5, 2))) == ["[1.50]"]
    assert texts([[date(2024, 2, 29)]], pa.list_(pa.date32())) == ['["2024-02-29"]']
    assert texts([["null", None, ""]], pa.list_(pa.string())) == ['["null",null,""]']
    assert texts([[b"\x01", b""]], pa.list_(pa.binary())) == ['["01",""]']


@given(st.lists(st.none() | st.lists(st.none() | st.text(), max_size=4), max_size=5))
def test_lists_of_text_read_back_as_json(values) -> None:
    found = texts(values, pa.list_(pa.string()))
    assert [None if text is None else json.loads(text) for text in found] == values


def test_json_is_left_as_it_is() -> None:
    array = pa.array(['{"a": 1}', None], pa.string())
    wrapped = pa.ExtensionArray.from_storage(pa.json_(pa.string()), array)
    assert text_array(wrapped).to_pylist() == ['{"a": 1}', None]


def test_a_type_without_text_is_refused() -> None:
    nested = pa.list_(pa.list_(pa.int8()))
    assert not is_renderable(nested)
    assert not is_renderable(pa.timestamp("us", tz="Europe/Paris"))
    with pytest.raises(TypeError):
        text_array(pa.array([{"a": 1}]))
