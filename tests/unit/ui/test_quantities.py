"""Numbers for people."""

import pytest

from rivet.ui.quantities import duration, rate, rows_short, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0ms"),
        (0.85, "850ms"),
        (12.34, "12.3s"),
        (59.96, "1m 00.0s"),
        (245.1, "4m 05.1s"),
        (3723.4, "1h 02m 03.4s"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (33_973_862, "32.4 MB"), (2**41, "2.0 TB")],
)
def test_size(count, text):
    assert size(count) == text


def test_rows_and_rates():
    assert [rows_short(n) for n in (7, 999, 300_500, 1_250_000)] == ["7", "999", "300K", "1.2M"]
    assert rate(1000, 0.4) == ""
    assert rate(1_000_000, 2) == "500K rows/s"
