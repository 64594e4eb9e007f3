"""The words after a run of one export, and those of child processes. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.model.metrics import METRICS
from rivet.ui.metrics import worded
from rivet.ui.quantities import duration, telling_rate
from rivet.ui.text import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.metrics import Metric
    from rivet.model.report import ChildOutput, ExportReport

_BLOCK_WIDTH: Final = 60


def export_block(report: ExportReport) -> str:
    """Return the block of one export: a heading and aligned `label: value` rows."""
    rows = [(label, value) for label, value in _rows(report) if value]
    width = max(len(label) for label, _ in rows) + 1
    heading = f"── {report.export_name} "
    lines = ["", heading.ljust(_BLOCK_WIDTH, "─")]
    for label, value in rows:
        first, *rest = value.splitlines()
        lines.append(f"  {label + ':':<{width}} {first}")
        lines += [f"  {'':<{width}} {line}" for line in rest]
    return harmless("\n".join(lines)) + "\n"


def _rows(report: ExportReport) -> list[tuple[str, str | None]]:
    """Return the rows: the metrics in their order, and in between what else there is to say."""
    plan, status = report.plan, report.status
    if report.skip_reason:
        status = f"{status} ({report.skip_reason})"
    tuning = f"profile={plan.tuning_profile}, batch_size={plan.batch_size:,}" if plan.mode else None
    rows = [("run_id", report.run_id), ("status", status), ("tuning", tuning)]
    beside = _beside(report)
    for metric in METRICS:
        if metric.label is not None:
            rows.append((metric.label, _value(metric, report)))
        rows += beside.pop(metric.name, ())
    return [*rows, ("stopped", _stopped(report))]


def _beside(report: ExportReport) -> dict[str, tuple[tuple[str, str | None], ...]]:
    """Return the rows that follow a metric."""
    slow = "interpreted (slow)" if report.kernel == "interpreted" else None
    return {
        "file_count": (("output", report.plan.destination_uri if report.plan.mode else None),),
        "peak_rss_mb": (
            ("compression", _compression(report)),
            ("kernel", slow),
            ("window", report.guarantee),
            ("consistency", _consistency(report)),
            ("not covered", "\n".join(report.not_covered)),
        ),
    }


def _value(metric: Metric, report: ExportReport) -> str | None:
    words = worded(metric, getattr(report, metric.name))
    if metric.name == "rows":
        throughput = telling_rate(report.rows, report.duration_ms / 1000)
        return f"{words} ({throughput})" if throughput else words
    return words


def _consistency(report: ExportReport) -> str | None:
    if report.plan.mode != "chunked" or not report.instants:
        return None
    many = "one instant" if report.instants == 1 else f"{report.instants} instants"
    if report.instant_doubt:
        many = "several instants are possible"
    age = duration(report.snapshot_age_s) if report.snapshot_age_s else None
    return f"{many}, held {age}" if age else many


def _compression(report: ExportReport) -> str | None:
    plan = report.plan
    return plan.compression if plan.format == "parquet" and plan.compression != "zstd" else None


def _stopped(report: ExportReport) -> str | None:
    """Return why it did not come to its end; why it failed is told by the error line."""
    is_stopped = report.status == "interrupted" and report.failure is not None
    return report.failure.message if is_stopped and report.failure else None


def stderr_dump(outputs: Sequence[ChildOutput]) -> str:
    """Return what children wrote on their standard error; empty where none wrote anything.

    Args:
        outputs: In configuration order; their lines are masked and harmless already.
    """
    lines: list[str] = []
    for output in outputs:
        if not output.head and not output.tail and not output.dropped:
            continue
        lines.append(f"  ── {harmless(output.export_name)} ──")
        lines += [f"    | {line}" for line in output.head]
        if output.dropped:
            lines.append(f"    | … (truncated, {output.dropped} more line(s) dropped)")
        lines += [f"    | {line}" for line in output.tail]
    if not lines:
        return ""
    heading = "  child stderr (captured to keep the live card stack stable):"
    return "\n".join(["", heading, *lines]) + "\n"
