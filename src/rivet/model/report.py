"""What a run did: the same records feed the screen, the JSON output and the library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rivet.model.metrics import METRICS, RunMetrics, compared, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rivet.errors import RivetError
    from rivet.model.part import RecordedPart
    from rivet.model.source import Position

# The keys of JSON that others read, in the order of earlier versions.
_EXPORT_KEYS: Final = (
    *("export_name", "status", "run_id", "rows", "files", "bytes", "bytes_read", "duration_ms"),
    *("mode", "error_message", "skip_reason", "error_code", "reconciliation", "parts"),
    "not_covered",
    "destination_uri",
)
_TOTAL_KEYS: Final = (
    *("run_aggregate_id", "started_at", "finished_at", "duration_ms", "config_path"),
    *("parallel_mode", "total_exports", "success_count", "failed_count", "skipped_count"),
    *("total_rows", "total_files", "total_bytes", "total_bytes_read", "per_export"),
    "recovered_runs",
)


NO_ROWS: Final = "source returned 0 rows"
NOTHING_NEW: Final = "no new rows"
"""Why an export was skipped that goes on from its last run, which was a good one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an export failed: a redacted message, its stable code, and how to go on.

    Attributes:
        rows_read: Rows that were read and refused together; 0 where that is not why.
        error_class: Name of the class of the error; the empty string where there was no error.
        error: The error itself, where it was raised in this process.
    """

    code: str
    message: str
    hint: str | None
    exit_code: int
    retryable: bool
    rows_read: int = 0
    error_class: str = field(default="", compare=False)
    error: RivetError | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What a run set out to do; empty where it failed before it was planned."""

    mode: str = ""
    engine: str = ""
    destination_type: str = ""
    destination_uri: str = ""
    format: str = ""
    compression: str = ""
    tuning_profile: str = ""
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class ExportReport(RunMetrics):
    """One run of one export: its metrics, and what there is to say besides.

    Attributes:
        status: `success`, `failed`, `skipped` or `interrupted`. A run of an export that found
            nothing new is `skipped`, here, in its events and on record: it published nothing, and
            the manifest is that of the run before. `--json` calls it `success`, see `told_status`.
        run_id: Unique name of the run; the empty string where it failed before it had one.
        plan: What the run set out to do.
        files: The recorded parts, in order: exactly what a reader of this run should read.
        guarantee: Which rows an incremental run is certain to have taken; None for other modes.
        not_covered: What the run cannot promise of the rows, in plain words.
        mode: As the configuration has it, in the words of `--json`; `plan.mode` is the plan's.
        instant_doubt: Why what was read together may not be of one instant; None where it is.
        kernel: `compiled` or `interpreted`; None for engines without a kernel.
    """

    export_name: str
    status: str
    run_id: str = ""
    plan: PlanSummary = PlanSummary()
    files: tuple[RecordedPart, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    position: Position | None = None
    warnings: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    kernel: str | None = None
    failure: Failure | None = None
    skip_reason: str | None = None
    guarantee: str | None = None
    instant_doubt: str | None = None
    mode: str = ""

    def __post_init__(self) -> None:
        # Whoever makes a report gives its files; their number follows.
        object.__setattr__(self, "file_count", len(self.files))

    @property
    def is_success(self) -> bool:
        """Whether nothing went wrong: a success, or a skip on purpose."""
        return self.status in {"success", "skipped"}

    @property
    def reconciliation(self) -> dict[str, Any] | None:
        """What `--reconcile` found, as JSON; None where it was not asked for or found nothing."""
        return compared(self.reconciled)

    @property
    def told_status(self) -> str:
        """The status in JSON, as the reference has it: nothing new is a success without rows."""
        return "success" if self.skip_reason == NOTHING_NEW else self.status

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `per_export` in the aggregate JSON."""
        body: dict[str, Any] = {
            "export_name": self.export_name,
            "status": self.told_status,
            "run_id": self.run_id,
            "mode": self.mode or self.plan.mode,
            "error_message": self.failure.message if self.failure else None,
            "skip_reason": self.skip_reason,
            "error_code": self.failure.code if self.failure else None,
            "destination_uri": self.plan.destination_uri,
            "parts": parts_json(self.files),
            "not_covered": list(self.not_covered),
        }
        for metric in METRICS:
            if metric.report is not None:
                body[metric.report] = metric.published(getattr(self, metric.name))
        body["rows"] = self.rows or (self.failure.rows_read if self.failure else 0)
        return in_order(body, _EXPORT_KEYS)


@dataclass(frozen=True, slots=True)
class ChildOutput:
    """What the process of one export wrote on its standard error.

    Attributes:
        head: The first lines, without line ends; control bytes made visible, secrets masked.
        dropped: Lines after `head` and before `tail` that were not kept.
        tail: The last lines, where any were dropped.
    """

    export_name: str
    head: tuple[str, ...]
    dropped: int = 0
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecoveredRun:
    """A run of before whose report nobody can rely on: its process did not end with 0.

    Attributes:
        files: Its recorded parts: no other report that ended with 0 has them.
    """

    export_name: str
    run_id: str
    mode: str
    destination_uri: str
    started_at: datetime
    finished_at: datetime | None
    files: tuple[RecordedPart, ...]

    @property
    def rows(self) -> int:
        """Rows in its parts."""
        return sum(part.stats.rows for part in self.files)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `recovered_runs` in the aggregate JSON."""
        return {
            "export_name": self.export_name,
            "run_id": self.run_id,
            "mode": self.mode,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "rows": self.rows,
            "files": len(self.files),
            "bytes": sum(part.stats.size_bytes for part in self.files),
            "destination_uri": self.destination_uri,
            "parts": parts_json(self.files),
        }


def parts_json(parts: Iterable[RecordedPart]) -> list[dict[str, Any]]:
    """Return parts as JSON: where each is and what is in it."""
    return [
        {
            "name": part.name,
            "uri": part.uri,
            "rows": part.stats.rows,
            "bytes": part.stats.size_bytes,
        }
        for part in parts
    ]


@dataclass(frozen=True, slots=True)
class RunReport:
    """One invocation: all its exports.

    Attributes:
        run_aggregate_id: `agg_` and the start time.
        parallel_mode: `sequential`, `parallel-threads` or `parallel-processes`.
        exports: One report each, in configuration order.
        stopped_by: Number of the signal that ended the invocation early; None where none did.
        child_outputs: For exports in processes of their own, those that wrote any.
        recovered_runs: Runs of before that were committed by an invocation that did not end with
            0; their rows are not counted here.
    """

    run_aggregate_id: str
    started_at: datetime
    finished_at: datetime
    config_path: str
    exports: tuple[ExportReport, ...]
    parallel_mode: str = "sequential"
    stopped_by: int | None = None
    child_outputs: tuple[ChildOutput, ...] = ()
    recovered_runs: tuple[RecoveredRun, ...] = ()

    @property
    def duration_ms(self) -> int:
        """Wall-clock milliseconds of the invocation."""
        return round((self.finished_at - self.started_at).total_seconds() * 1000)

    @property
    def files(self) -> tuple[RecordedPart, ...]:
        """The parts of this run, export by export."""
        return tuple(part for export in self.exports for part in export.files)

    @property
    def rows(self) -> int:
        """Rows of all exports together."""
        return sum(export.rows for export in self.exports)

    @property
    def is_success(self) -> bool:
        """Whether every export succeeded or was skipped on purpose."""
        return all(export.is_success for export in self.exports)

    @property
    def failures(self) -> tuple[ExportReport, ...]:
        """The exports that did not succeed."""
        return tuple(export for export in self.exports if not export.is_success)

    def totals(self) -> dict[str, int]:
        """Return the sums over all exports, by their keys in the aggregate JSON."""
        return {
            metric.total: sum(getattr(export, metric.name) for export in self.exports)
            for metric in METRICS
            if metric.total is not None
        }

    def to_json(self) -> dict[str, Any]:
        """Return the aggregate JSON of `--json` and `--summary-output`."""
        statuses = [export.told_status for export in self.exports]
        success = statuses.count("success")
        failed = sum(not export.is_success for export in self.exports)
        body: dict[str, Any] = {
            "run_aggregate_id": self.run_aggregate_id,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "duration_ms": self.duration_ms,
            "config_path": self.config_path,
            "parallel_mode": self.parallel_mode,
            "total_exports": len(self.exports),
            "success_count": success,
            "failed_count": failed,
            "skipped_count": len(self.exports) - success - failed,
            "per_export": [export.to_json() for export in self.exports],
            "recovered_runs": [run.to_json() for run in self.recovered_runs],
            **self.totals(),
        }
        body["total_rows"] = sum(export["rows"] for export in body["per_export"])
        return in_order(body, _TOTAL_KEYS)
