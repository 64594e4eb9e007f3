"""Moments as integers: date arithmetic on key texts, exact to the nanosecond, and wall clocks.

A wall clock is set back once a year, and readings come again. Wherever a reading has to stand for
an instant here, the earlier one is meant: rows may be read again or wait, and are not passed over.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_TEXT: Final = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?P<between>[ T])(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.(?P<digits>[0-9]{1,9}))?"
    r"(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)?)?\Z"
)
_DAY_S: Final = 86_400
# Clocks are set back by an hour or less, but for those that changed sides of the date line.
_FARTHEST: Final = timedelta(hours=25)
_STEP: Final = timedelta(minutes=15)


def moved_date(text: str, seconds: int) -> str | None:
    """Return the date on which a moment so many seconds from a date's midnight lies.

    Returns:
        None where that is before the first year.

    Raises:
        ValueError: The text is no date of the years 1 to 9999.
    """
    days = date.fromisoformat(text).toordinal() + seconds // _DAY_S
    return date.fromordinal(days).isoformat() if days > 0 else None


def moved_moment(text: str, seconds: int, zone: ZoneInfo | None = None) -> str | None:
    """Return a moment moved by whole seconds; its fraction and its zone stay as they are.

    Args:
        text: ISO, with or without an offset.
        seconds: How far; negative is back.
        zone: That of a wall clock: a way back is as long as its hands say, or as long as the time
            that passed, whichever leads farther.

    Returns:
        None where that is before the first year.

    Raises:
        ValueError: The text is no moment of the years 1 to 9999.
    """
    found = _TEXT.match(text)
    if found is None:
        msg = "no moment of the years 1 to 9999"
        raise ValueError(msg)
    before = datetime.fromisoformat(f"{found['date']} {found['time'] or '00:00:00'}")
    try:
        after = before + timedelta(seconds=seconds)
        if zone is not None:
            passed = _earlier_instant(before, zone) + timedelta(seconds=seconds)
            after = min(after, _reading(passed, zone))
    except OverflowError:
        return None
    digits = f".{found['digits']}" if found["digits"] else ""
    moved = after.isoformat(found["between"] or " ", "seconds")
    return f"{moved}{digits}{found['zone'] or ''}"


def _earlier_instant(reading: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which a wall clock shows a reading, or is past it."""
    instants = [reading.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return min(instants)


def earliest_reading(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the least that a wall clock shows at an instant or at any time after it.

    While it is, or is about to be, set back, that is what it will show right after.
    """
    least = _reading(instant, zone)
    at = instant
    while at < instant + _FARTHEST:
        following = at + _STEP
        if _offset(following, zone) < _offset(at, zone):
            least = min(least, _reading(_change(at, following, zone), zone))
        at = following
    return least


def _reading(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first whole second at which the zone has the later offset."""
    low, high = int(before.timestamp()), int(after.timestamp()) + 1
    later = _offset(after, zone)
    while low + 1 < high:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == later:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)
