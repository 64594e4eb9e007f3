"""Where a window of an incremental export begins and ends: pure arithmetic on key texts.

A window ends with the greatest value that is there, the watermark of the next run. A cursor on the
clock leaves out what may still be written, see docs/adr/0020.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import MAX_PREC, Context, Decimal, DecimalException
from typing import TYPE_CHECKING, Final

from rivet.errors import StalePlanError, UnsupportedPlanError
from rivet.model.source import Position
from rivet.model.types import Kind
from rivet.model.window import Horizon, Lack
from rivet.plan.moments import earliest_reading, moved_date, moved_moment
from rivet.redact import visible

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rivet.model.types import LogicalType

_PREFIX: Final = "cursor"
_START: Final = "start"
# Its value may or may not have been taken whole.
_MANIFEST: Final = "manifest"
# A version before this one ended windows before a value of the clock.
_BEFORE, _UP_TO = "before", "upto"
_FAMILIES: Final = {
    Kind.INT16: "number",
    Kind.INT32: "number",
    Kind.INT64: "number",
    Kind.UINT64: "number",
    Kind.DECIMAL: "number",
    Kind.TIMESTAMP: "timestamp",
    Kind.DATE: "date",
    Kind.STRING: "text",
    Kind.UUID: "uuid",
    Kind.BINARY: "binary",
}
CLOCKS: Final = frozenset({"timestamp", "date"})
# The server notes when a transaction began a moment after it has, and a column keeps whole seconds
# at the least: its values may be rounded by as much.
_MARGIN: Final = timedelta(seconds=1)
_LEAST: Final = {Kind.INT16: -(2**15), Kind.INT32: -(2**31), Kind.INT64: -(2**63), Kind.UINT64: 0}
_EXACT: Final = Context(prec=MAX_PREC)


@dataclass(frozen=True, slots=True)
class Low:
    """Where a window begins.

    Attributes:
        text: The bound; None is open.
        takes_it: Rows equal to it belong to the window.
    """

    text: str | None = None
    takes_it: bool = True


def family_of(column: str, logical: LogicalType) -> str:
    """Return what kind of values a cursor has: number, timestamp, date, text, uuid or binary.

    Raises:
        UnsupportedPlanError: The column cannot be a cursor.
    """
    family = _FAMILIES.get(logical.kind)
    if family is None:
        msg = f"`cursor_column`: column '{visible(column)}' ({logical.label}) has no order to go by"
        hint = "choose a timestamp, a date or a whole number that grows"
        raise UnsupportedPlanError(msg, hint=hint, column=column)
    return family


def position_at(engine: str, family: str, text: str) -> Position:
    """Return the watermark of a window that ended at a value."""
    return Position(engine, f"{_PREFIX}:{family}:{_UP_TO}", text, is_approximate=False)


def position_at_start(engine: str, family: str) -> Position:
    """Return the watermark of a first run that found only rows without a place in the order."""
    return Position(engine, f"{_PREFIX}:{family}:{_START}", "", is_approximate=False)


def from_manifest(engine: str, text: str) -> Position:
    """Return the watermark of a run whose manifest tells its last value alone."""
    return Position(engine, _MANIFEST, text, is_approximate=False)


def low_of(export_name: str, watermark: Position | None, family: str) -> Low:
    """Return where a run goes on from its watermark.

    A watermark that was taken over from another program means rows after it, one from a manifest
    of an earlier version those equal to it as well.

    Raises:
        StalePlanError: The cursor was of another kind when the watermark was set.
    """
    if watermark is None:
        return Low()
    name, _, rest = watermark.kind.partition(":")
    if name != _PREFIX:
        return Low(watermark.text, takes_it=name == _MANIFEST)
    before, _, end = rest.partition(":")
    if before != family:
        msg = f"export '{export_name}': the cursor was a {before} and is a {family} now"
        hint = f"start over with: rivet state reset -e {export_name}"
        raise StalePlanError(msg, hint=hint, export=export_name)
    return Low() if end == _START else Low(watermark.text, takes_it=end == _BEFORE)


def looked_back(
    low: Low, logical: LogicalType, lookback_s: int, zone: ZoneInfo | None = None
) -> Low:
    """Return a lower bound moved back, by seconds or, for numbers, by as many; exactly.

    Args:
        low: Where the run would go on.
        logical: The cursor's type.
        lookback_s: How far.
        zone: That of a wall clock.

    Raises:
        UnsupportedPlanError: The cursor cannot be moved back.
    """
    if low.text is None or not lookback_s:
        return low
    family = _FAMILIES[logical.kind]
    try:
        match family:
            case "number":
                return Low(_less(low.text, lookback_s, logical.kind))
            case "timestamp":
                return Low(moved_moment(low.text, -lookback_s, zone))
            case "date":
                return Low(moved_date(low.text, -lookback_s))
            case _:
                msg = f"`lookback` needs a cursor on the clock or a number, not a {family}"
    except (ValueError, DecimalException):
        msg = "`lookback` needs a last value between the years 1 and 9999, or a number"
    raise UnsupportedPlanError(msg, hint="remove `lookback`")


def _less(text: str, by: int, kind: Kind) -> str:
    if text.lstrip("-").isdecimal():
        return str(max(int(text) - by, _LEAST.get(kind, int(text) - by)))
    less = f"{_EXACT.subtract(Decimal(text), Decimal(by)):f}"
    # A real stays one, however large: for SQLite digits alone are a whole number.
    return less if "." in less else f"{less}.0"


def clock_end(
    horizon: Horizon, lag_s: int, family: str, *, is_zoned: bool, zone: ZoneInfo | None
) -> str:
    """Return the end of a window on the clock: nothing older than it may still be written.

    Whole seconds, and for dates whole days: what a column rounds or cuts off is left out.
    """
    bounds = [horizon.now - max(timedelta(seconds=lag_s), _MARGIN)]
    if horizon.oldest is not None:
        bounds.append(horizon.oldest - _MARGIN)
    instant = min(bounds)
    if is_zoned:
        reading = instant.replace(tzinfo=None)
    elif zone is not None:
        reading = earliest_reading(instant, zone)
    else:
        reading = instant.replace(tzinfo=None) + horizon.wall
    if family == "date":
        return reading.date().isoformat()
    return reading.isoformat(" ", "seconds") + (horizon.offset if is_zoned else "")


def without_zone(column: str) -> Lack:
    """Return the lack of a column on a wall clock of which nobody has said where it hangs."""
    what = f"'{visible(column)}' has no zone, so that it cannot be compared with the server's clock"
    return Lack(what, "set `cursor_zone`", settles=False)


def guarantee_of(
    horizon: Horizon | None, lacks: tuple[Lack, ...], lag_s: int, column: str
) -> tuple[str, bool]:
    """Return which rows are certain to be taken, and whether that can be relied on."""
    name = visible(column)
    if horizon is None:
        return (
            f"not guaranteed: a row that is committed late with a smaller '{name}' is missed; a "
            "timestamp that the database's clock sets would be complete, or use `lookback`",
            False,
        )
    if not lacks:
        return f"complete if the database's clock sets '{name}'", True
    if lag_s and all(lack.settles for lack in lacks):
        return f"complete for rows that are committed within {lag_s} s of their '{name}'", True
    listed = "; ".join(map(str, lacks))
    other = ", or set `settle`" if not lag_s and all(lack.settles for lack in lacks) else ""
    return f"not guaranteed: {listed}{other}", False
