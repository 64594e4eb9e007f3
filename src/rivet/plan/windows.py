"""Where a window of an incremental export begins and ends: pure arithmetic on key texts.

A cursor on the clock ends before anything that may still be written: windows are half-open, so that
rows with equal values are never in two runs. Any other cursor ends at the greatest value there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rivet.errors import StalePlanError, UnsupportedPlanError
from rivet.model.source import Position
from rivet.model.types import Kind
from rivet.redact import visible

if TYPE_CHECKING:
    from rivet.model.types import LogicalType
    from rivet.model.window import Horizon

_PREFIX: Final = "cursor"
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
# The server notes when a transaction began a moment after it has; its clock is read before.
MARGIN_S: Final = 1.0


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


def position_at(engine: str, family: str, text: str, *, is_before: bool) -> Position:
    """Return the watermark of a window that ended before, or at, a value."""
    kind = f"{_PREFIX}:{family}:{_BEFORE if is_before else _UP_TO}"
    return Position(engine, kind, text, is_approximate=False)


def low_of(export_name: str, watermark: Position | None, family: str) -> Low:
    """Return where a run goes on from its watermark.

    A watermark that was taken over from another program means rows after it.

    Raises:
        StalePlanError: The cursor was of another kind when the watermark was set.
    """
    if watermark is None:
        return Low()
    name, _, rest = watermark.kind.partition(":")
    if name != _PREFIX:
        return Low(watermark.text, takes_it=False)
    before, _, end = rest.partition(":")
    if before != family:
        msg = f"export '{export_name}': the cursor was a {before} and is a {family} now"
        hint = f"start over with: rivet state reset -e {export_name}"
        raise StalePlanError(msg, hint=hint, export=export_name)
    return Low(watermark.text, takes_it=end == _BEFORE)


def looked_back(low: Low, family: str, lookback_s: int) -> Low:
    """Return a lower bound moved back, by seconds or, for numbers, by as many.

    Raises:
        UnsupportedPlanError: The cursor cannot be moved back.
    """
    if low.text is None or not lookback_s:
        return low
    if family == "number":
        return Low(str(int(float(low.text)) - lookback_s))
    if family not in {"timestamp", "date"}:
        msg = f"`lookback` needs a cursor on the clock or a number, not a {family}"
        raise UnsupportedPlanError(msg, hint="remove `lookback`")
    return Low(_moved(low.text, -lookback_s, family))


def high_of_clock(horizon: Horizon, lag_s: int, family: str) -> str:
    """Return the end of a window on the clock: nothing older than it may still be written."""
    bounds = [_moved(horizon.now, -max(lag_s, MARGIN_S), family)]
    if horizon.oldest is not None:
        bounds.append(_moved(horizon.oldest, 0, family))
    return min(bounds, key=_moment)


def is_ahead(high: str, low: str | None, family: str) -> bool:
    """Whether a window holds anything: a watermark never goes back."""
    if low is None or family not in {"timestamp", "date"}:
        return True
    return _moment(high) > _moment(low)


def guarantee_of(horizon: Horizon | None, lag_s: int, column: str) -> tuple[str, bool]:
    """Return which rows are certain to be taken, and whether that can be relied on."""
    name = visible(column)
    if horizon is None:
        return (
            f"not guaranteed: a row that is committed late with a smaller '{name}' is missed; a "
            "timestamp that the database's clock sets would be complete, or use `lookback`",
            False,
        )
    if horizon.sees_all:
        return f"complete if the database's clock sets '{name}'", True
    if lag_s:
        return f"complete for rows that are committed within {lag_s} s of their '{name}'", True
    return f"not guaranteed: {horizon.why_not}, or set `settle`", False


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moved(text: str, seconds: float, family: str) -> str:
    moment = datetime.fromisoformat(text) + timedelta(seconds=seconds)
    return moment.date().isoformat() if family == "date" else moment.isoformat(" ")
