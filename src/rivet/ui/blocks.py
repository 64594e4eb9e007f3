"""The words after a run: a block for one export, a summary for several. Pure functions."""

from __future__ import annotations

import shlex
import signal
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from rivet.model.metrics import METRICS
from rivet.ui.causes import cause, common_cause
from rivet.ui.metrics import worded
from rivet.ui.quantities import duration, files, rate
from rivet.ui.text import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.metrics import Metric
    from rivet.model.report import ChildOutput, ExportReport, RunReport

_BLOCK_WIDTH: Final = 60
_RULE: Final = "═" * 56
_PROCESSES: Final = "parallel-processes"
_MOST_ALIKE: Final = 3
_MOST_COMMITTED: Final = 20
_MOST_NAMED: Final = 10
_SUMMED: Final = tuple(
    (metric.label, metric.total, metric) for metric in METRICS if metric.label and metric.total
)


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
    hint = report.failure.hint if report.failure else None
    return [*rows, ("error", _error(report)), ("hint", hint)]


def _beside(report: ExportReport) -> dict[str, tuple[tuple[str, str | None], ...]]:
    """Return the rows that follow a metric."""
    slow = "interpreted (slow)" if report.kernel == "interpreted" else None
    return {
        "file_count": (("output", report.plan.destination_uri),),
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
    if metric.name == "rows" and (throughput := rate(report.rows, report.duration_ms / 1000)):
        return f"{words} ({throughput})"
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


def _error(report: ExportReport) -> str | None:
    failure = report.failure
    return f"[{failure.code}] {failure.message}" if failure else None


def run_summary(report: RunReport, *, written: str | None = None) -> str:
    """Return the summary of an invocation with several exports.

    Where all failed alike it begins with what they have in common; where not all succeeded it ends
    with what was committed and the command that goes on.

    Args:
        report: The invocation.
        written: Path of `--summary-output`, where one was written.
    """
    lines = [*_banner(report), "", _RULE, f"  Run summary ({len(report.exports)} exports)", _RULE]
    lines += [f"  {label + ':':<14} {value}" for label, value in _totals(report) if value]
    failed = [export for export in report.failures if export.status == "failed"]
    if failed:
        lines += ["", "  failed exports:"]
        lines += [f"    - {export.export_name}: {cause(export)}" for export in failed]
    lines += _interrupted(report)
    if written:
        lines += ["", f"  written:       {written}"]
    return harmless("\n".join(lines)) + "\n" + going_on(report)


def _totals(report: RunReport) -> list[tuple[str, str | None]]:
    body = report.to_json()
    seconds = report.duration_ms / 1000
    interrupted = sum(export.status == "interrupted" for export in report.exports)
    status = f"{body['success_count']} success · {body['failed_count'] - interrupted} failed"
    if interrupted:
        status += f" · {interrupted} interrupted"
    if body["skipped_count"]:
        status += f" · {body['skipped_count']} skipped"
    return [
        ("id", report.run_aggregate_id),
        ("status", status),
        ("stopped", f"by {_signal(report.stopped_by)}" if report.stopped_by is not None else ""),
        *((label, worded(metric, body[total])) for label, total, metric in _SUMMED),
        ("duration", f"{duration(seconds)} (wall clock)"),
        ("throughput", rate(report.rows, seconds)),
        ("mode", report.parallel_mode),
        ("config", report.config_path),
    ]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _banner(report: RunReport) -> list[str]:
    found = common_cause(report.exports)
    if found is None:
        return []
    example, count = found
    who = "children" if report.parallel_mode == _PROCESSES else "exports"
    lines = ["", f"  {count} {who} failed with the same error before any succeeded:"]
    lines.append(f"    {cause(example)}")
    if example.failure and example.failure.hint:
        lines.append(f"    hint: {' '.join(example.failure.hint.split())}")
    return lines


def _interrupted(report: RunReport) -> list[str]:
    """List those that were cut short; a reason that many share stands once."""
    by_cause: defaultdict[str, list[str]] = defaultdict(list)
    for export in report.failures:
        if export.status != "failed":
            by_cause[cause(export)].append(export.export_name)
    lines = ["", "  interrupted exports:"] if by_cause else []
    for why, names in by_cause.items():
        told = names if len(names) <= _MOST_ALIKE else [f"{len(names)} exports"]
        lines += [f"    - {name}: {why}" for name in told]
    return lines


def going_on(report: RunReport) -> str:
    """Return what was committed and the command that runs the rest.

    The empty string where there is no rest, and for one export that failed by itself: its block
    has said it all.
    """
    rest = [export.export_name for export in report.failures]
    if not rest or (len(report.exports) == 1 and report.stopped_by is None):
        return ""
    committed = [
        export
        for export in report.exports
        if export.status == "success" or (export.files and report.stopped_by is not None)
    ]
    lines = ["", *(f"  committed: {_committed(export)}" for export in committed[:_MOST_COMMITTED])]
    if len(committed) > _MOST_COMMITTED:
        lines.append(f"  committed: {len(committed) - _MOST_COMMITTED} more exports")
    command = f"rivet run -c {shlex.quote(report.config_path)}"
    if len(rest) <= _MOST_NAMED or len(rest) < len(report.exports):
        command += "".join(f" -e {shlex.quote(name)}" for name in rest)
    lines.append(f"  go on with: {command}")
    return harmless("\n".join(lines)) + "\n"


def _committed(export: ExportReport) -> str:
    told = f"{export.export_name} {export.rows:,} rows in {files(len(export.files))}"
    return told if export.is_success else f"{told} (of an unfinished run)"


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
