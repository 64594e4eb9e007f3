"""Dates and moments that are moved, and wall clocks that are set back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from rivet.errors import UnsupportedPlanError
from rivet.model import types
from rivet.model.types import Kind, LogicalType
from rivet.model.window import Horizon
from rivet.plan.moments import earliest_reading
from rivet.plan.windows import Low, clock_end, looked_back, low_of, position_at_start

PARIS = ZoneInfo("Europe/Paris")
CASES = [
    (types.INT64, "1800000000000000129", 10, "1800000000000000119"),
    (types.INT64, "-5", 10, "-15"),
    (types.INT64, "-9223372036854775807", 10, "-9223372036854775808"),
    (types.INT16, "-32760", 100, "-32768"),
    (types.UINT64, "18446744073709551615", 1, "18446744073709551614"),
    (types.UINT64, "5", 10, "0"),
    (types.decimal(20, 2), "12.50", 10, "2.50"),
    (types.decimal(38, 18), "-9007199254740993.000000000000000001", 1, None),
    (types.decimal(65, 0), "9" * 65, 10, f"{'9' * 63}89"),
    (types.TIMESTAMP, "2024-03-01 00:00:00.000001", 1, "2024-02-29 23:59:59.000001"),
    (types.TIMESTAMP_NS, "2024-03-01 00:00:00.123456789", 1, "2024-02-29 23:59:59.123456789"),
    (types.TIMESTAMP_TZ, "2024-03-31 03:30:00+02", 7200, "2024-03-31 01:30:00+02"),
    (types.TIMESTAMP_TZ, "2024-03-31T03:30:00.5Z", 7200, "2024-03-31T01:30:00.5Z"),
    (types.TIMESTAMP, "2024-03-31", 60, "2024-03-30 23:59:00"),
    (types.DATE, "2024-03-01", 60, "2024-02-29"),
    (types.DATE, "2024-03-01", 2 * 86_400, "2024-02-28"),
    (types.DATE, "0001-01-01", 60, None),
]


@pytest.mark.parametrize(("logical", "text", "back", "expected"), CASES)
def test_a_bound_is_moved_back_exactly(logical: LogicalType, text, back, expected):
    found = looked_back(Low(text, takes_it=False), logical, back)
    if logical.kind is Kind.DECIMAL and expected is None:
        expected = "-9007199254740994.000000000000000001"
    assert found == Low(expected)


@pytest.mark.parametrize(
    ("logical", "text"),
    [(types.STRING, "a"), (types.UUID, "x"), (types.TIMESTAMP, "0044-03-15 00:00:00 BC")],
)
def test_what_cannot_be_moved_back_is_said(logical, text):
    with pytest.raises(UnsupportedPlanError, match="lookback"):
        looked_back(Low(text), logical, 10)


@pytest.mark.parametrize(
    ("text", "back", "expected"),
    [
        # Set forward at 02:00: an hour of readings is missing, two hours back is more.
        ("2024-03-31 03:30:00", 7200, "2024-03-31 00:30:00"),
        # Set back at 03:00: readings between 02:00 and 03:00 come twice.
        ("2024-10-27 03:30:00", 7200, "2024-10-27 01:30:00"),
        ("2024-10-27 02:30:00.5", 3600, "2024-10-27 01:30:00.5"),
    ],
)
def test_a_wall_clock_goes_back_by_the_farther_way(text, back, expected):
    assert looked_back(Low(text), types.TIMESTAMP, back, PARIS) == Low(expected)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2024-10-26 20:00:00", "2024-10-26 22:00:00"),
        ("2024-10-26 23:30:00", "2024-10-27 01:30:00"),
        # First and second time between 02:00 and 03:00: all of it is still to come.
        ("2024-10-27 00:30:00", "2024-10-27 02:00:00"),
        ("2024-10-27 00:59:59", "2024-10-27 02:00:00"),
        ("2024-10-27 01:00:00", "2024-10-27 02:00:00"),
        ("2024-10-27 01:30:00", "2024-10-27 02:30:00"),
        ("2024-10-27 02:00:00", "2024-10-27 03:00:00"),
        ("2024-03-31 01:00:00", "2024-03-31 03:00:00"),
    ],
)
def test_no_later_reading_is_less(instant, expected):
    at = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert str(earliest_reading(at, PARIS)) == expected
    end = clock_end(Horizon(at), 0, "timestamp", is_zoned=False, zone=PARIS)
    assert end <= expected


def test_zones_that_change_by_less_or_by_a_day_are_no_other():
    lord_howe = ZoneInfo("Australia/Lord_Howe")  # half an hour
    at = datetime(2024, 4, 6, 14, 50, tzinfo=UTC)
    assert str(earliest_reading(at, lord_howe)) == "2024-04-07 01:30:00"
    kwajalein = ZoneInfo("Pacific/Kwajalein")  # crossed the date line in 1969, a day back
    at = datetime(1969, 9, 30, 12, tzinfo=UTC)
    assert earliest_reading(at, kwajalein) < datetime(1969, 10, 1)  # noqa: DTZ001 - a reading


def test_a_window_leaves_out_what_a_column_rounds_or_cuts_off():
    at = datetime(2024, 5, 1, 0, 0, 0, 400_000, tzinfo=UTC)
    later = datetime(2024, 5, 1, 12, tzinfo=UTC)
    horizon = Horizon(later, at, offset="+00")
    assert clock_end(horizon, 0, "timestamp", is_zoned=True, zone=None) == "2024-04-30 23:59:59+00"
    assert clock_end(horizon, 0, "date", is_zoned=False, zone=None) == "2024-04-30"
    assert clock_end(Horizon(later), 90, "timestamp", is_zoned=True, zone=None).endswith("11:58:30")


def test_a_first_run_without_values_begins_at_the_start_again():
    assert low_of("t", position_at_start("postgresql", "number"), "number") == Low()
