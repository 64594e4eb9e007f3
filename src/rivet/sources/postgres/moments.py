"""Moments as PostgreSQL prints them under ISO and UTC, from the bytes it sends.

For bounds of keys, which must not follow the zone and the styles of a session.
"""

from __future__ import annotations

from typing import Final

from rivet.sources.postgres import types

__all__ = ["key_text"]

_DAY_US: Final = 86_400_000_000
# Days from 0000-03-01 to 2000-01-01 of the calendar without end.
_EPOCH_DAYS: Final = 730_425
_ERA_DAYS: Final = 146_097


def key_text(code: int, sent: str) -> str:
    """Return the text of a key of which `KeySpelling.text` gave this.

    Args:
        code: OID of its type.
        sent: Hex of its binary form for dates, timestamps and bytes; its own text otherwise.
    """
    if code == types.BYTEA:
        return f"\\x{sent}"
    if code not in {types.DATE, types.TIMESTAMP, types.TIMESTAMPTZ}:
        return sent
    number = int.from_bytes(bytes.fromhex(sent), "big", signed=True)
    most = (1 << (len(sent) * 4 - 1)) - 1
    if number in {most, -most - 1}:
        return "infinity" if number > 0 else "-infinity"
    if code == types.DATE:
        date, era = _date(number)
        return date + era
    days, micros = divmod(number, _DAY_US)
    date, era = _date(days)
    return f"{date} {_clock(micros)}{'+00' if code == types.TIMESTAMPTZ else ''}{era}"


def _date(days: int) -> tuple[str, str]:
    """Return a day of the proleptic Gregorian calendar and its era, from days since 2000-01-01.

    Source:
        Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    """
    era, of_era = divmod(days + _EPOCH_DAYS, _ERA_DAYS)
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    place = (5 * of_year + 2) // 153
    day = of_year - (153 * place + 2) // 5 + 1
    month = place + 3 if place < 10 else place - 9  # noqa: PLR2004 - March comes first
    year = era * 400 + year_of_era + (month <= 2)  # noqa: PLR2004
    shown = year if year > 0 else 1 - year
    return f"{shown:04d}-{month:02d}-{day:02d}", "" if year > 0 else " BC"


def _clock(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text
