"""Metrics of a run in its row: each in its column, and those without one together as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rivet.model.metrics import METRICS, Unit, metrics_from_json, metrics_to_json
from rivet.state.database import flag, optional_flag
from rivet.state.decoding import json_object, number, optional_text, real

if TYPE_CHECKING:
    from rivet.model.metrics import RunMetrics
    from rivet.state.database import Row

_OWN: Final = {metric.column: metric for metric in METRICS if metric.column is not None}
_TOGETHER: Final = tuple(metric for metric in METRICS if metric.column is None)

ASSIGNED: Final = ", ".join(f"{column} = :{column}" for column in (*_OWN, "metrics_json"))
"""What an UPDATE of a row sets them by."""


def columns_of(metrics: RunMetrics) -> dict[str, Any]:
    """Return the values of the columns."""
    values: dict[str, Any] = {}
    for column, metric in _OWN.items():
        value = getattr(metrics, metric.name)
        values[column] = flag(value) if metric.unit in {Unit.CHECK, Unit.CHANGE} else value
    together = metrics_to_json(metrics, _TOGETHER)
    return {**values, "metrics_json": json.dumps(together, separators=(",", ":"))}


def from_columns(row: Row) -> dict[str, Any]:
    """Return the metrics of a row by name; rows of earlier versions have not all of them.

    Raises:
        ValueError: A value is not what it should be.
        TypeError: The same.
    """
    values: dict[str, Any] = {}
    for column, metric in _OWN.items():
        if metric.unit in {Unit.CHECK, Unit.CHANGE}:
            values[metric.name] = optional_flag(row[column])
        elif metric.unit is Unit.SECONDS:
            values[metric.name] = real(row, column)
        else:
            values[metric.name] = number(row, column)
    told = optional_text(row, "metrics_json")
    return values if told is None else {**values, **metrics_from_json(json_object(told), _TOGETHER)}
