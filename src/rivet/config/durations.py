"""Lengths of time as people write them: `90s`, `10m`, `2h`, `7d`."""

from __future__ import annotations

import re
from typing import Final

_FORM: Final = re.compile(r"([0-9]{1,9})(?:\s*(s|m|h|d))?\Z")
_SECONDS: Final = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> int:
    """Return seconds.

    Raises:
        ValueError: It is no such length; the message says what is.
    """
    found = _FORM.match(text.strip())
    if found is None:
        msg = "must be a number with s, m, h or d, such as 10m"
        raise ValueError(msg)
    return int(found[1]) * _SECONDS[found[2]]
