"""Report files of a run: `.rivet/runs/<run_id>/summary.json` and `summary.md`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from rivet.model.metrics import METRICS, in_order
from rivet.openfile import make_private_folder, open_regular
from rivet.redact import redact, redacted

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.model.report import ExportReport

# The keys of `summary.json` in the order of earlier versions.
_KEYS: Final = (
    *("run_id", "export_name", "status", "started_at", "finished_at", "duration_ms"),
    *("source_engine", "mode", "destination_kind", "destination_uri", "format", "compression"),
    *("tuning_profile", "batch_size", "kernel", "total_rows", "files_produced", "files"),
    *("bytes_read", "bytes_written", "peak_rss_mb", "retries", "longest_statement_s"),
    *("values_nulled", "source_position", "validated", "reconciliation", "schema_changed"),
    *("quality_passed", "warnings", "not_covered", "skip_reason", "error_code", "error_message"),
    "hint",
)


def write_run_files(report: ExportReport, base_dir: Path) -> Path | None:
    """Write both files and return their folder; None where the run never got so far.

    The run's verdict stands in the state already, so a disk that refuses these is not a failure.
    """
    if not report.run_id or not report.plan.mode:
        return None
    folder = base_dir / ".rivet" / "runs" / report.run_id
    try:
        for one in (folder.parent.parent, folder.parent, folder):
            make_private_folder(one)
        body = json.dumps(redacted(summary_json(report)), indent=2, ensure_ascii=False)
        _write(folder / "summary.json", body + "\n")
        _write(folder / "summary.md", redact(summary_markdown(report)))
    except OSError:
        return None
    return folder


def _write(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(open_regular(path, flags=flags), "w", encoding="utf-8") as file:
        file.write(text)


def summary_json(report: ExportReport) -> dict[str, Any]:
    """Return what `summary.json` holds."""
    plan, failure, position = report.plan, report.failure, report.position
    body: dict[str, Any] = {
        "run_id": report.run_id,
        "export_name": report.export_name,
        "status": report.status,
        "started_at": report.started_at.isoformat() if report.started_at else None,
        "finished_at": report.finished_at.isoformat() if report.finished_at else None,
        "source_engine": plan.engine,
        "mode": plan.mode,
        "destination_kind": plan.destination_type,
        "destination_uri": plan.destination_uri,
        "format": plan.format,
        "compression": plan.compression,
        "tuning_profile": plan.tuning_profile,
        "batch_size": plan.batch_size,
        "kernel": report.kernel,
        "files": [part.name for part in report.files],
        "source_position": None,
        "warnings": list(report.warnings),
        "not_covered": list(report.not_covered),
        "skip_reason": report.skip_reason,
        "error_code": failure.code if failure else None,
        "error_message": failure.message if failure else None,
        "hint": failure.hint if failure else None,
    }
    if position is not None:
        body["source_position"] = {
            "kind": position.kind,
            "text": position.text,
            "approximate": position.is_approximate,
        }
    for metric in METRICS:
        if metric.summary is not None:
            body[metric.summary] = metric.published(getattr(report, metric.name))
    return in_order(body, _KEYS)


def summary_markdown(report: ExportReport) -> str:
    """Return what `summary.md` holds: the same facts as a table for people."""
    lines = [f"# {report.export_name}: {report.status}", "", "| | |", "|---|---|"]
    for key, value in summary_json(report).items():
        if value in (None, [], {}) or key == "files":
            continue
        text = str(value).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {key.replace('_', ' ')} | {text} |")
    lines += ["", "## Files", ""]
    lines += [f"- `{part.name}` ({part.stats.rows:,} rows)" for part in report.files] or ["none"]
    return "\n".join(lines) + "\n"
