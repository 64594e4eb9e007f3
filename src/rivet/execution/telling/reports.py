"""Report serialisation: from a child process to its parent, and back into a report there.

What can be counted again comes from the state store, which is the record; the rest travels as plain
JSON in the child's last event.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rivet.events import ExportFinished
from rivet.model.metrics import METRICS, metrics_from_json, metrics_to_json
from rivet.model.plan import Mode
from rivet.model.report import ExportReport, Failure, PlanSummary
from rivet.model.source import Position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rivet.config.models import ExportConfig
    from rivet.execution.children.verdict import Verdict
    from rivet.model.part import RecordedPart
    from rivet.model.run import RunRow

INTERRUPTED: Final = Failure(
    code="RIVET_INTERRUPTED", message="interrupted", hint=None, exit_code=1, retryable=True
)
NOT_STARTED: Final = Failure(
    code="RIVET_INTERRUPTED",
    message="not started: the run was stopped before its turn came",
    hint=None,
    exit_code=1,
    retryable=True,
)

# Metrics that the last event has a field for, those that its details hold, and other texts there.
_TOLD: Final = {metric.name: metric.event for metric in METRICS if metric.event is not None}
_DETAILED: Final = tuple(metric for metric in METRICS if metric.event is None)
_TEXTS: Final = ("kernel", "skip_reason", "guarantee", "instant_doubt")


def told_mode(export: ExportConfig) -> str:
    """Return the mode of an export as `--json` has it, whether it came to be planned or not."""
    if export.mode is Mode.CHUNKED and export.chunk_by_key:
        return "keyset"
    return "timewindow" if export.mode is Mode.TIME_WINDOW else str(export.mode)


def details_of(report: ExportReport) -> dict[str, Any]:
    """Return what the last event of a child carries besides its own fields."""
    return {
        **metrics_to_json(report, _DETAILED),
        **{name: getattr(report, name) for name in _TEXTS},
        "plan": asdict(report.plan),
        "started_at": report.started_at.isoformat() if report.started_at else None,
        "finished_at": report.finished_at.isoformat() if report.finished_at else None,
        "position": asdict(report.position) if report.position else None,
        "warnings": list(report.warnings),
        "not_covered": list(report.not_covered),
        "error_class": report.failure.error_class if report.failure else "",
        "rows_read": report.failure.rows_read if report.failure else 0,
    }


def report_of(
    export_name: str,
    run_id: str,
    *,
    verdict: Verdict,
    finished: ExportFinished | None,
    row: RunRow | None,
    parts: tuple[RecordedPart, ...],
) -> ExportReport:
    """Return the report of an export that ran in a process of its own.

    Args:
        export_name: The export.
        run_id: Its run.
        verdict: The parent's, which is the one that counts.
        finished: The child's own last event, where it came.
        row: The run as the state has it; None where it never got so far.
        parts: Its recorded parts.
    """
    report = ExportReport(
        export_name=export_name,
        status=verdict.status,
        run_id=run_id,
        rows=sum(part.stats.rows for part in parts),
        bytes_written=sum(part.stats.size_bytes for part in parts),
        files=parts,
        failure=verdict.failure,
    )
    if row is not None:
        record = row.record
        summary = {field.name: getattr(record, field.name) for field in fields(PlanSummary)}
        report = replace(report, plan=PlanSummary(**summary), started_at=record.started_at)
    if finished is None:
        return report
    # The record counts; what it does not count, the child does.
    told = {name: getattr(report, name) or getattr(finished, key) for name, key in _TOLD.items()}
    report = replace(report, **told)
    try:
        report = replace(report, **_restored(finished.details or {}))
        return _with_class(report, finished)
    except (KeyError, TypeError, ValueError):
        return report  # another program's details


def _restored(details: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name in _TEXTS:
        if not isinstance(details[name], str | None):
            raise TypeError(name)
        known[name] = details[name]
    position = details["position"]
    return {
        **known,
        **metrics_from_json(details, _DETAILED),
        "plan": _plan(details["plan"]),
        "started_at": _moment(details["started_at"]),
        "finished_at": _moment(details["finished_at"]),
        "position": Position(**position) if position else None,
        "warnings": tuple(str(warning) for warning in details["warnings"]),
        "not_covered": tuple(str(text) for text in details.get("not_covered", ())),
    }


def _with_class(report: ExportReport, finished: ExportFinished) -> ExportReport:
    """Say what kind of error it was, where the verdict is the child's own."""
    failure, told = report.failure, finished.details or {}
    name, rows = told.get("error_class"), told.get("rows_read", 0)
    is_own = failure is not None and failure.code == finished.error_code
    if failure is None or not is_own or not isinstance(name, str) or type(rows) is not int:
        return report
    return replace(report, failure=replace(failure, error_class=name, rows_read=rows))


def _plan(body: Mapping[str, Any]) -> PlanSummary:
    values: dict[str, Any] = {
        field.name: int(body[field.name]) if field.type == "int" else str(body[field.name])
        for field in fields(PlanSummary)
    }
    return PlanSummary(**values)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def interrupted_report(export_name: str, failure: Failure) -> ExportReport:
    """Return the report of an export whose turn never came."""
    return ExportReport(export_name=export_name, status="interrupted", failure=failure)


def finished_event(report: ExportReport, *, is_synthetic: bool = False) -> ExportFinished:
    """Return the verdict as an event."""
    failure = report.failure
    told: dict[str, Any] = {key: getattr(report, name) for name, key in _TOLD.items()}
    return ExportFinished(
        **told,
        export_name=report.export_name,
        run_id=report.run_id,
        status=report.status,
        error_message=failure.message if failure else None,
        error_code=failure.code if failure else None,
        error_hint=failure.hint if failure else None,
        exit_code=failure.exit_code if failure else 0,
        is_retryable=failure.retryable if failure else False,
        is_synthetic=is_synthetic,
        mode=report.plan.mode,
        details=details_of(report),
    )
