"""Run metrics: what a run counts and finds, one line each, with all its names and its unit.

Everything else is made from that one list: the JSON of `--json` and `summary.json`, the last event,
the row of the state, the block on the screen. Where a name is not given, a metric has that of its
field; where it has no column and no field of the event, it travels in their JSON beside the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_OWN: Final = "*"


def _added(one: int, other: int) -> int:
    return one + other


def _latest(one: Any, other: Any) -> Any:  # noqa: ANN401 - whatever a unit holds
    return one if other is None else other


def _added_by_name(
    one: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    sums = dict(one)
    for name, count in other:
        sums[name] = sums.get(name, 0) + count
    return by_name(sums)


def by_name(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return counts by name as a metric holds them."""
    return tuple(sorted(counts.items()))


def _integer(value: Any) -> int:  # noqa: ANN401 - whatever JSON can hold
    if type(value) is not int:
        raise ValueError(value)
    return value


def _seconds(value: Any) -> float:  # noqa: ANN401
    return value if type(value) is float else float(_integer(value))


def _answer(value: Any) -> bool | None:  # noqa: ANN401
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(value)


def _counts(value: Any) -> tuple[tuple[str, int], ...]:  # noqa: ANN401
    pairs = [(name, _integer(count)) for name, count in value]
    if not all(isinstance(name, str) for name, _ in pairs):
        raise ValueError(value)
    return tuple(pairs)


def _pair(value: Any) -> tuple[int, int] | None:  # noqa: ANN401
    if value is None:
        return None
    one, other = value
    return _integer(one), _integer(other)


class _Kind(NamedTuple):
    """Values of a unit: the one that is nothing, how two become one, how JSON is read."""

    nothing: Any
    merge: Callable[[Any, Any], Any]
    read: Callable[[Any], Any]


class Unit(StrEnum):
    """What a metric measures, and so how it adds up, how it is written and how it reads."""

    COUNT = "a count"
    BYTES = "bytes"
    MILLISECONDS = "milliseconds"
    SECONDS = "seconds"
    MEBIBYTES = "mebibytes"
    BY_COLUMN = "counts by column"
    BY_COUNTER = "counts by counter of a server"
    CHECK = "passed or not, None where nobody asked"
    CHANGE = "changed or not, None where nothing is known"
    COMPARISON = "rows exported and rows in the source"


_KINDS: Final = {
    Unit.COUNT: _Kind(0, _added, _integer),
    Unit.BYTES: _Kind(0, _added, _integer),
    Unit.MILLISECONDS: _Kind(0, max, _integer),
    Unit.SECONDS: _Kind(0.0, max, _seconds),
    Unit.MEBIBYTES: _Kind(0, max, _integer),
    Unit.BY_COLUMN: _Kind((), _added_by_name, _counts),
    Unit.BY_COUNTER: _Kind((), _added_by_name, _counts),
    Unit.CHECK: _Kind(None, _latest, _answer),
    Unit.CHANGE: _Kind(None, _latest, _answer),
    Unit.COMPARISON: _Kind(None, _latest, _pair),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What one metric is called outside the process, and where it is told.

    Attributes:
        unit: What it measures.
        name: Its field in `RunMetrics`, and its key in JSON that only Rivet reads.
        label: In the block of an export; None where it is not shown by itself.
        note: Follows the value there, in parentheses.
        report: Key in `per_export` of `--json` and `--summary-output`; None where it is not there.
        summary: Key in `summary.json`; None where it is not there.
        event: Field of the event `finished`; None: it is in that event's `details`.
        column: Column of the table `runs`; None: it is in that table's `metrics_json`.
        total: Key of the sum over all exports in the aggregate JSON; None where there is none.
        is_always_shown: Shown in the block also where it is nothing.
    """

    unit: Unit
    name: str = ""
    label: str | None = _OWN
    note: str = ""
    report: str | None = _OWN
    summary: str | None = _OWN
    event: str | None = None
    column: str | None = None
    total: str | None = None
    is_always_shown: bool = False

    def published(self, value: Any) -> Any:  # noqa: ANN401 - whatever the unit holds
        """Return a value as the JSON has it that others read."""
        if self.unit is Unit.SECONDS:
            return round(value, 3)
        if self.unit in {Unit.BY_COLUMN, Unit.BY_COUNTER}:
            return dict(value)
        return compared(value) if self.unit is Unit.COMPARISON else value


def compared(pair: tuple[int, int] | None) -> dict[str, Any] | None:
    """Return rows exported and rows in the source as JSON."""
    if pair is None:
        return None
    exported, in_source = pair
    matched = exported == in_source
    return {"source_count": in_source, "exported_rows": exported, "matched": matched}


def _metric(unit: Unit, **names: Any) -> Any:  # noqa: ANN401 - a field; its type is annotated
    return field(default=_KINDS[unit].nothing, metadata={"metric": Metric(unit, **names)})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMetrics:
    """What one run of one export counted and found, in the order of its block.

    Attributes:
        rows: Rows in recorded parts.
        file_count: Recorded parts.
        bytes_read: Bytes received from the database; 0 where there is no wire.
        bytes_written: Size of the recorded parts.
        longest_statement_s: Longest time one statement ran on the server.
        harm: Counters of the server by name, the difference over the run: everybody's work counts.
        dest_retries: Requests of the destination's store that were made again.
        nulled: Column to the number of values that a `null` policy turned into NULL.
        is_validated: None where validation was not asked for.
        reconciled: Rows in the recorded parts and rows the source holds in the instant that was
            read, of the same window; None where that was not asked for or could not be counted.
        schema_changed: None where there was no earlier run to compare with.
        quality_passed: None where no quality rule was set.
        instants: How many instants the parts were read in, those of a run taken up included.
        snapshot_age_s: How long an instant was held; 0 where none was.
    """

    rows: int = _metric(
        Unit.COUNT,
        summary="total_rows",
        event="total_rows",
        column="total_rows",
        total="total_rows",
        is_always_shown=True,
    )
    file_count: int = _metric(
        Unit.COUNT,
        label="files",
        report="files",
        summary="files_produced",
        event="files_produced",
        column="total_files",
        total="total_files",
        is_always_shown=True,
    )
    bytes_read: int = _metric(
        Unit.BYTES, event="bytes_read", column="bytes_read", total="total_bytes_read"
    )
    bytes_written: int = _metric(
        Unit.BYTES,
        report="bytes",
        event="bytes_written",
        column="bytes_written",
        total="total_bytes",
    )
    duration_ms: int = _metric(
        Unit.MILLISECONDS,
        label="duration",
        event="duration_ms",
        column="duration_ms",
        is_always_shown=True,
    )
    longest_statement_s: float = _metric(
        Unit.SECONDS, label="longest statement", report=None, column="longest_statement_s"
    )
    peak_rss_mb: int = _metric(
        Unit.MEBIBYTES,
        label="peak RSS",
        note="sampled during run",
        report=None,
        event="peak_rss_mb",
        column="peak_rss_mb",
        is_always_shown=True,
    )
    harm: tuple[tuple[str, int], ...] = _metric(
        Unit.BY_COUNTER,
        label="source did",
        note="by everybody there, not by this run alone",
        report=None,
        summary=None,
    )
    retries: int = _metric(Unit.COUNT, report=None, column="retries")
    dest_retries: int = _metric(
        Unit.COUNT, label="store retries", report=None, summary="dest_retries", event="dest_retries"
    )
    nulled: tuple[tuple[str, int], ...] = _metric(
        Unit.BY_COLUMN, label="set to NULL", report=None, summary="values_nulled"
    )
    is_validated: bool | None = _metric(
        Unit.CHECK, label="validated", report=None, summary="validated", column="is_validated"
    )
    reconciled: tuple[int, int] | None = _metric(
        Unit.COMPARISON, label="reconcile", report="reconciliation", summary="reconciliation"
    )
    schema_changed: bool | None = _metric(
        Unit.CHANGE, label="schema", report=None, column="schema_changed"
    )
    quality_passed: bool | None = _metric(
        Unit.CHECK, label="quality", report=None, column="quality_passed"
    )
    instants: int = _metric(Unit.COUNT, label=None, report=None, summary=None)
    snapshot_age_s: float = _metric(Unit.SECONDS, label=None, report=None, summary=None)

    def values(self) -> dict[str, Any]:
        """Return the metrics by name: what another record of them is made from."""
        return {metric.name: getattr(self, metric.name) for metric in METRICS}


def _named(name: str, metric: Metric) -> Metric:
    return replace(
        metric,
        name=name,
        label=name.replace("_", " ") if metric.label == _OWN else metric.label,
        report=name if metric.report == _OWN else metric.report,
        summary=name if metric.summary == _OWN else metric.summary,
    )


METRICS: Final = tuple(_named(one.name, one.metadata["metric"]) for one in fields(RunMetrics))
"""Every metric, in the order of the fields."""


def merged(one: RunMetrics, other: RunMetrics) -> RunMetrics:
    """Return two of them as one: sums of what is counted, the greatest time, the later finding."""
    return RunMetrics(
        **{
            metric.name: _KINDS[metric.unit].merge(
                getattr(one, metric.name), getattr(other, metric.name)
            )
            for metric in METRICS
        }
    )


def metrics_to_json(metrics: RunMetrics, chosen: Iterable[Metric] = METRICS) -> dict[str, Any]:
    """Return metrics as JSON that only Rivet reads: by name, exactly, what `…_from_json` reads."""
    return {metric.name: _listed(getattr(metrics, metric.name)) for metric in chosen}


def metrics_from_json(
    told: Mapping[str, Any], chosen: Iterable[Metric] = METRICS
) -> dict[str, Any]:
    """Return metrics by name from what `metrics_to_json` wrote; one that is missing is nothing.

    Raises:
        ValueError: A value is not of its metric's unit.
        TypeError: The same.
    """
    return {
        metric.name: _KINDS[metric.unit].read(told[metric.name])
        for metric in chosen
        if metric.name in told
    }


def _listed(value: Any) -> Any:  # noqa: ANN401 - whatever a unit holds
    return [_listed(each) for each in value] if isinstance(value, tuple) else value


def in_order(body: dict[str, Any], first: Iterable[str]) -> dict[str, Any]:
    """Return JSON with the keys that earlier versions wrote in their order, and the others last."""
    return {key: body[key] for key in (*first, *body)}
