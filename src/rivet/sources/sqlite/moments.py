"""Timestamps of SQLite, which are texts of several forms, as texts of one form that sorts by time.

A blank or a T between day and time, seconds or none, an offset or none: one moment, one text.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

MOMENT_FUNCTION: Final = "rivet_moment"

_FORM: Final = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T](?P<minute>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<digits>[0-9]{1,9}))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)


def moment(value: Any) -> Any:  # noqa: ANN401 - any of SQLite's values
    """Return `YYYY-MM-DD HH:MM:SS` with as many digits as there are, in UTC where a zone is told.

    Whole numbers are seconds since 1970, as an override to a timestamp takes them; what is no
    moment stays as it is.
    """
    try:
        if isinstance(value, int):
            return _written(datetime.fromtimestamp(value, UTC))
        found = _FORM.match(value) if isinstance(value, str) else None
        if found is None:
            return value
        text = f"{found['day']} {found['minute'] or '00:00'}:{found['second'] or '00'}"
        if found["zone"] not in {None, "Z"}:
            text = _written(datetime.fromisoformat(text + found["zone"]).astimezone(UTC))
    except (ValueError, OverflowError, OSError):
        return value
    digits = (found["digits"] or "").rstrip("0")
    return f"{text}.{digits}" if digits else text


def day_near(value: Any, days: int) -> str | None:  # noqa: ANN401 - any of SQLite's values
    """Return the day so many days from a moment; None for what is none."""
    try:
        return (date.fromisoformat(str(value)[:10]) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return None


def _written(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(" ", "seconds")
