"""Numbers for people: rows, bytes, rates and durations. Pure functions."""

from __future__ import annotations

from typing import Final

_MILLION: Final = 1_000_000
_THOUSAND: Final = 1_000
_STEP: Final = 1024.0
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_TELLING_ROWS: Final = 100_000


def rows_short(rows: int) -> str:
    """Return `1.2M`, `300K` or the number itself."""
    if rows >= _MILLION:
        return f"{rows / _MILLION:.1f}M"
    if rows >= _THOUSAND:
        return f"{rows // _THOUSAND}K"
    return str(rows)


def size(count: int) -> str:
    """Return bytes in powers of 1024 with one decimal: `512 B`, `32.4 MB`."""
    if count < _STEP:
        return f"{count} B"
    value = float(count)
    for unit in ("KB", "MB", "GB"):
        value /= _STEP
        if value < _STEP:
            return f"{value:.1f} {unit}"
    return f"{value / _STEP:.1f} TB"


def duration(seconds: float) -> str:
    """Return `850ms`, `12.3s`, `4m 05.1s` or `1h 02m 03.4s`; negative counts as zero."""
    seconds = max(seconds, 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    # Rounded first, so that 59.96 never becomes `60.0s`.
    tenths = round(seconds, 1)
    if tenths < _MINUTE:
        return f"{tenths:.1f}s"
    minutes, rest = divmod(tenths, _MINUTE)
    if tenths < _HOUR:
        return f"{minutes:.0f}m {rest:04.1f}s"
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours:.0f}h {minutes:02.0f}m {rest:04.1f}s"


def rate(rows: int, seconds: float) -> str:
    """Return `1.2M rows/s`, or the empty string while there is too little to tell."""
    if seconds < 0.5 or rows <= 0:  # noqa: PLR2004 - half a second of evidence
        return ""
    return f"{rows_short(round(rows / seconds))} rows/s"


def files(count: int) -> str:
    """Return `1 file` or `11 files`."""
    return "1 file" if count == 1 else f"{count:,} files"


def telling_rate(rows: int, seconds: float, *, tables: int = 1) -> str:
    """Return the rate where it tells something: of small tables it measures their beginnings."""
    return rate(rows, seconds) if rows >= _TELLING_ROWS * tables else ""
