"""Run summary: what an invocation of several exports did, and how to go on. Pure functions."""

from __future__ import annotations

import shlex
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rivet.model.metrics import METRICS
from rivet.ui.causes import cause_lines, few_names
from rivet.ui.commands import Again, runnable
from rivet.ui.metrics import worded
from rivet.ui.quantities import duration, files, telling_rate
from rivet.ui.text import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.report import ExportReport, RunReport

_RULE: Final = "═" * 56
_MOST_COMMITTED: Final = 3
_MOST_NAMED: Final = 50
_PLAIN: Final = Again()
_KEPT: Final = "  kept: the files and the progress of earlier runs"
_FAILED: Final = 1
_RETRYABLE: Final = 2
_FULL: Final = "RIVET_DESTINATION_FULL"
_MOST_RECOVERED: Final = 3
_MOST_LINES: Final = {"failed": 18, "interrupted": 6}
_SUMMED: Final = tuple(
    (metric.label, metric.total, metric) for metric in METRICS if metric.label and metric.total
)


def run_summary(report: RunReport, *, written: str | None = None, again: Again = _PLAIN) -> str:
    """Return the summary of an invocation with several exports, at most 50 lines.

    Where not all succeeded it tells each cause once, and ends with what was committed and the
    command that goes on.

    Args:
        report: The invocation.
        written: Path of `--summary-output`, where one was written.
        again: What the command that goes on repeats of the one that was given.
    """
    lines = ["", _RULE, f"  Run summary ({len(report.exports)} exports)", _RULE]
    lines += [f"  {label + ':':<14} {value}" for label, value in _totals(report) if value]
    for status, most in _MOST_LINES.items():
        concerned = [
            _runnable(export, report.config_path, again.params)
            for export in report.failures
            if export.status == status
        ]
        if concerned:
            lines += ["", f"  {status} exports:", *cause_lines(concerned, most=most)]
    if written:
        lines += ["", f"  written:       {written}"]
    return harmless("\n".join(lines)) + "\n" + going_on(report, again)


def _runnable(export: ExportReport, config: str, params: str) -> ExportReport:
    """Return a report whose hint has commands that name the configuration."""
    failure = export.failure
    if failure is None or not failure.hint:
        return export
    return replace(export, failure=replace(failure, hint=runnable(failure.hint, config, params)))


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
        ("recovered", recovered(report)),
        ("duration", f"{duration(seconds)} (wall clock)"),
        ("throughput", telling_rate(report.rows, seconds, tables=len(report.exports))),
        ("mode", report.parallel_mode),
        ("config", report.config_path),
    ]


def recovered(report: RunReport) -> str | None:
    """Return what was committed before and is told by this report; None where nothing was."""
    runs = report.recovered_runs
    if not runs:
        return None
    rows, parts = sum(run.rows for run in runs), sum(len(run.files) for run in runs)
    many = "1 earlier run" if len(runs) == 1 else f"{len(runs):,} earlier runs"
    names = few_names([run.run_id for run in runs], _MOST_RECOVERED)
    return f"{many}, {rows:,} rows in {files(parts)} besides: {names}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def going_on(report: RunReport, again: Again = _PLAIN) -> str:
    """Return what was committed and the command that runs the rest.

    The empty string where there is no rest, and for one export that failed by itself where trying
    again would give the same and nothing of it is recorded: its error has said it all.
    """
    rest = [export.export_name for export in report.failures]
    is_cut_off = report.stopped_by is not None or any(map(_is_cut_off, report.failures))
    if not rest or (len(report.exports) == 1 and not is_cut_off):
        return ""
    lines = ["", *(f"  committed: {text}" for text in _committed(report))]
    if is_cut_off and report.stopped_by is None:
        lines.append(_KEPT)
    command = f"rivet {again.command} -c {shlex.quote(report.config_path)}{again.params}"
    if (
        again.command == "run"
        and len(rest) <= _MOST_NAMED
        and len(rest) < max(len(report.exports), 2)
    ):
        command += "".join(f" -e {shlex.quote(name)}" for name in rest)
    lines.append(f"  go on with: {command}{_as_before(report, again)}")
    return harmless("\n".join(lines)) + "\n"


def _is_cut_off(export: ExportReport) -> bool:
    """Whether an export failed on its way: the same run again may come to its end."""
    failure = export.failure
    if failure is None:
        return False
    if failure.exit_code == _RETRYABLE or failure.code == _FULL:
        return True
    return failure.exit_code == _FAILED and bool(export.files)


def _as_before(report: RunReport, again: Again) -> str:
    """Return the options that go on with a run the way it went.

    How many at once is left out where a plain failure leaves little to do.
    """
    is_stopped = report.stopped_by is not None
    has_parts = any(one.files and (is_stopped or _is_cut_off(one)) for one in report.failures)
    resume = " --resume" if has_parts and again.resumes else ""
    if not is_stopped or len(report.failures) < 2:  # noqa: PLR2004 - one has no sides
        return again.options + resume
    return again.options + resume + again.parallel


def _committed(report: RunReport) -> list[str]:
    """Tell what is data, export by export where they are few."""
    whole = [
        export for export in report.exports if export.is_success and export.status != "skipped"
    ]
    partial = [export for export in report.failures if export.files]
    if len(whole) + len(partial) <= _MOST_COMMITTED:
        told = [f"{export.export_name} {_counted([export])}" for export in whole]
        return told + [
            f"{export.export_name} {_counted([export])} (of an unfinished run)"
            for export in partial
        ]
    lines = [f"{len(whole):,} exports, {_counted(whole)}"] if whole else []
    if partial:
        lines.append(f"{len(partial):,} exports, {_counted(partial)} (of unfinished runs)")
    return lines


def _counted(exports: Sequence[ExportReport]) -> str:
    rows = sum(export.rows for export in exports)
    return f"{rows:,} rows in {files(sum(export.file_count for export in exports))}"
