"""The words after a run: a block for one export, a summary for several. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.redact import redact, visible
from rivet.ui.quantities import duration, rate, size

if TYPE_CHECKING:
    from rivet.model.report import ExportReport, RunReport

_BLOCK_WIDTH: Final = 60
_RULE: Final = "═" * 56
_CAUSE_WIDTH: Final = 200


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
    return visible(redact("\n".join(lines))) + "\n"


def _rows(report: ExportReport) -> list[tuple[str, str | None]]:
    plan = report.plan
    seconds = report.duration_ms / 1000
    status = report.status
    if report.skip_reason:
        status = f"{status} ({report.skip_reason})"
    tuning = f"profile={plan.tuning_profile}, batch_size={plan.batch_size:,}" if plan.mode else None
    throughput = rate(report.rows, seconds)
    return [
        ("run_id", report.run_id),
        ("status", status),
        ("tuning", tuning),
        ("rows", f"{report.rows:,}{f' ({throughput})' if throughput else ''}"),
        ("files", f"{len(report.files):,}"),
        ("output", plan.destination_uri),
        ("bytes read", size(report.bytes_read) if report.bytes_read else None),
        ("bytes written", size(report.bytes_written) if report.bytes_written else None),
        ("duration", duration(seconds)),
        ("longest statement", _statement(report)),
        ("peak RSS", f"{report.peak_rss_mb} MB (sampled during run)"),
        ("compression", _compression(report)),
        ("kernel", "interpreted (slow)" if report.kernel == "interpreted" else None),
        ("retries", str(report.retries) if report.retries else None),
        ("set to NULL", ", ".join(f"{name} {count:,}" for name, count in report.nulled)),
        ("validated", _verdict(report.is_validated)),
        ("schema", _changed(report.schema_changed)),
        ("quality", _verdict(report.quality_passed)),
        ("error", _error(report)),
        ("hint", report.failure.hint if report.failure else None),
    ]


def _statement(report: ExportReport) -> str | None:
    return duration(report.longest_statement_s) if report.longest_statement_s else None


def _compression(report: ExportReport) -> str | None:
    plan = report.plan
    return plan.compression if plan.format == "parquet" and plan.compression != "zstd" else None


def _verdict(passed: bool | None) -> str | None:  # noqa: FBT001 - three-valued answer
    return None if passed is None else ("pass" if passed else "FAIL")


def _changed(changed: bool | None) -> str | None:  # noqa: FBT001 - three-valued answer
    return None if changed is None else ("CHANGED" if changed else "unchanged")


def _error(report: ExportReport) -> str | None:
    failure = report.failure
    return f"[{failure.code}] {failure.message}" if failure else None


def run_summary(report: RunReport, *, written: str | None = None) -> str:
    """Return the summary of an invocation with several exports.

    Args:
        report: The invocation.
        written: Path of `--summary-output`, where one was written.
    """
    body = report.to_json()
    status = f"{body['success_count']} success · {body['failed_count']} failed"
    if body["skipped_count"]:
        status += f" · {body['skipped_count']} skipped"
    seconds = report.duration_ms / 1000
    rows: list[tuple[str, str]] = [
        ("id", report.run_aggregate_id),
        ("status", status),
        ("rows", f"{report.rows:,}"),
        ("files", f"{body['total_files']:,}"),
        ("bytes read", size(body["total_bytes_read"]) if body["total_bytes_read"] else ""),
        ("bytes written", size(body["total_bytes"]) if body["total_bytes"] else ""),
        ("duration", f"{duration(seconds)} (wall clock)"),
        ("throughput", rate(report.rows, seconds)),
        ("mode", report.parallel_mode),
        ("config", report.config_path),
    ]
    lines = ["", _RULE, f"  Run summary ({len(report.exports)} exports)", _RULE]
    lines += [f"  {label + ':':<14} {value}" for label, value in rows if value]
    if report.failures:
        lines += ["", "  failed exports:"]
        lines += [f"    - {export.export_name}: {_cause(export)}" for export in report.failures]
    if written:
        lines += ["", f"  written:       {written}"]
    return visible(redact("\n".join(lines))) + "\n"


def _cause(report: ExportReport) -> str:
    if report.failure is None:
        return report.status
    text = " ".join(f"[{report.failure.code}] {report.failure.message}".split())
    return text if len(text) <= _CAUSE_WIDTH else text[: _CAUSE_WIDTH - 1] + "…"
