"""Report serialisation: from a child process to its parent, and back into a report there.

What can be counted again comes from the state store, which is the record; the rest travels as plain
JSON in the child's last event.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rivet.events import ExportFinished
from rivet.model.report import ExportReport, Failure, PlanSummary
from rivet.model.source import Position

if TYPE_CHECKING:
    from collections.abc import Mapping

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

# Fields of a report that are the same in JSON, with the types they have there.
_PLAIN: Final[dict[str, tuple[type, ...]]] = {
    "retries": (int,),
    "longest_statement_s": (int, float),
    "is_validated": (bool, type(None)),
    "schema_changed": (bool, type(None)),
    "quality_passed": (bool, type(None)),
    "kernel": (str, type(None)),
    "skip_reason": (str, type(None)),
    "guarantee": (str, type(None)),
    "instant_doubt": (str, type(None)),
}


def details_of(report: ExportReport) -> dict[str, Any]:
    """Return what the last event of a child carries besides its own fields."""
    details: dict[str, Any] = {name: getattr(report, name) for name in _PLAIN}
    return {
        **details,
        "plan": asdict(report.plan),
        "started_at": report.started_at.isoformat() if report.started_at else None,
        "finished_at": report.finished_at.isoformat() if report.finished_at else None,
        "harm": [list(pair) for pair in report.harm],
        "snapshot_age_s": report.snapshot_age_s,
        "instants": report.instants,
        "nulled": [list(pair) for pair in report.nulled],
        "reconciled": list(report.reconciled) if report.reconciled else None,
        "position": asdict(report.position) if report.position else None,
        "warnings": list(report.warnings),
        "not_covered": list(report.not_covered),
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
    report = replace(
        report,
        rows=report.rows or finished.total_rows,
        bytes_written=report.bytes_written or finished.bytes_written,
        bytes_read=finished.bytes_read,
        duration_ms=finished.duration_ms,
        peak_rss_mb=finished.peak_rss_mb,
    )
    try:
        return replace(report, **_restored(finished.details or {}))
    except (KeyError, TypeError, ValueError):
        return report  # another program's details


def _restored(details: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name, types in _PLAIN.items():
        if not isinstance(details[name], types):
            raise TypeError(name)
        known[name] = details[name]
    position = details["position"]
    reconciled = details["reconciled"]
    return {
        **known,
        "plan": _plan(details["plan"]),
        "started_at": _moment(details["started_at"]),
        "finished_at": _moment(details["finished_at"]),
        "harm": tuple((str(name), int(count)) for name, count in details.get("harm", ())),
        "snapshot_age_s": float(details.get("snapshot_age_s", 0.0)),
        "instants": int(details.get("instants", 0)),
        "nulled": tuple((str(column), int(count)) for column, count in details["nulled"]),
        "reconciled": (int(reconciled[0]), int(reconciled[1])) if reconciled else None,
        "position": Position(**position) if position else None,
        "warnings": tuple(str(warning) for warning in details["warnings"]),
        "not_covered": tuple(str(text) for text in details.get("not_covered", ())),
    }


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
    return ExportFinished(
        export_name=report.export_name,
        run_id=report.run_id,
        status=report.status,
        total_rows=report.rows,
        files_produced=len(report.files),
        bytes_written=report.bytes_written,
        duration_ms=report.duration_ms,
        peak_rss_mb=report.peak_rss_mb,
        error_message=failure.message if failure else None,
        error_code=failure.code if failure else None,
        bytes_read=report.bytes_read,
        error_hint=failure.hint if failure else None,
        exit_code=failure.exit_code if failure else 0,
        is_retryable=failure.retryable if failure else False,
        is_synthetic=is_synthetic,
        mode=report.plan.mode,
        details=details_of(report),
    )
