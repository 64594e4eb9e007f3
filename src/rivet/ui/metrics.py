"""Metrics of a run in words, as its block and the summary show them. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rivet.model.metrics import Unit
from rivet.ui.quantities import duration, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.model.metrics import Metric


def worded(metric: Metric, value: Any) -> str | None:  # noqa: ANN401 - whatever the unit holds
    """Return a value in words; None where there is nothing to show."""
    if not value and value is not False and not metric.is_always_shown:
        return None
    words = _WORDS[metric.unit](value)
    return f"{words} ({metric.note})" if words and metric.note else words or None


def _compared(pair: tuple[int, int]) -> str:
    exported, in_source = pair
    if exported == in_source:
        return f"MATCH ({exported:,}/{in_source:,})"
    return f"MISMATCH (exported {exported:,} vs source {in_source:,})"


_WORDS: Final[dict[Unit, Callable[[Any], str]]] = {
    Unit.COUNT: lambda count: f"{count:,}",
    Unit.BYTES: size,
    Unit.MILLISECONDS: lambda count: duration(count / 1000),
    Unit.SECONDS: duration,
    Unit.MEBIBYTES: lambda count: f"{count} MB",
    Unit.BY_COLUMN: lambda counts: ", ".join(f"{name} {count:,}" for name, count in counts),
    Unit.BY_COUNTER: lambda counts: ", ".join(
        f"{name.replace('_', ' ')} {count:,}" for name, count in counts if count
    ),
    Unit.CHECK: lambda passed: "pass" if passed else "FAIL",
    Unit.CHANGE: lambda changed: "CHANGED" if changed else "unchanged",
    Unit.COMPARISON: _compared,
}
