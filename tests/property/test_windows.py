"""Windows on a wall clock, played through: no row is lost, none comes twice, whatever the zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from rivet.model.source import Position
from rivet.model.window import Horizon
from rivet.plan.windows import Low, clock_end, low_of, position_at

ZONES = ["Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "UTC"]
OPEN_S = st.sampled_from([0, 0, 100, 2000, 6000])
START = datetime(2024, 1, 1, tzinfo=UTC)


@settings(deadline=None, max_examples=300)
@given(
    zone=st.sampled_from(ZONES),
    # When a row's transaction begins, and how long it stays open.
    rows=st.lists(
        st.tuples(st.sampled_from(range(-3600, 7200, 300)), st.floats(0, 0.999), OPEN_S),
        min_size=2,
        max_size=20,
    ),
    runs=st.lists(st.sampled_from(range(-3500, 9000, 300)), min_size=1, max_size=12),
    around=st.sampled_from([60, 120, 300]),
    digits=st.sampled_from(["seconds", "microseconds"]),
)
def test_no_row_is_lost_and_none_comes_twice(zone, rows, runs, around, digits):
    place = ZoneInfo(zone)
    base = _near_a_change(place, START + timedelta(days=around)) + timedelta(minutes=30)
    written = []
    for at, fraction, open_s in rows:
        began = base + timedelta(seconds=at + fraction)
        reading = began.astimezone(place).replace(tzinfo=None)
        written.append((began, began + timedelta(seconds=open_s), reading.isoformat(" ", digits)))
    taken: list[int] = []
    watermark: Position | None = None
    for at in [*sorted(runs), 30 * 3600]:
        now = base + timedelta(seconds=at)
        oldest = min((one for one, done, _ in written if one <= now < done), default=None)
        high = clock_end(Horizon(now, oldest), 0, "timestamp", is_zoned=False, zone=place)
        low = low_of("t", watermark, "timestamp")
        seen = [
            (text, number)
            for number, (_, done, text) in enumerate(written)
            if done <= now and text < high and _is_above(text, low)
        ]
        if seen:
            taken += [number for _, number in seen]
            watermark = position_at("sqlite", "timestamp", max(seen)[0])
    assert sorted(taken) == list(range(len(written)))


def _is_above(text: str, low: Low) -> bool:
    return low.text is None or text > low.text or (low.takes_it and text == low.text)


@cache
def _near_a_change(zone: ZoneInfo, at: datetime) -> datetime:
    """Return the next hour at which the clock is set, else the moment itself."""
    offset = at.astimezone(zone).utcoffset()
    for hours in range(24 * 200):
        following = at + timedelta(hours=hours + 1)
        if following.astimezone(zone).utcoffset() != offset:
            return following - timedelta(hours=1)
    return at


def test_watermarks_of_earlier_versions_and_of_other_programs_are_read():
    before = Position("sqlite", "cursor:timestamp:before", "2024-05-01", is_approximate=False)
    assert low_of("t", before, "timestamp") == Low("2024-05-01", takes_it=True)
    theirs = Position("sqlite", "reference", "2024-05-01", is_approximate=False)
    assert low_of("t", theirs, "timestamp") == Low("2024-05-01", takes_it=False)
