"""Run progress: what one run of one export has done so far; becomes its report at the end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from traceback import clear_frames
from typing import TYPE_CHECKING

from rivet.errors import InternalError, RivetError
from rivet.execution.positions import earliest
from rivet.model.metrics import RunMetrics, by_name, merged
from rivet.model.report import ExportReport, Failure, PlanSummary
from rivet.model.run import RunOutcome, RunStatus
from rivet.redact import cleanse, redact, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from rivet.execution.job import Job
    from rivet.model.part import RecordedPart
    from rivet.model.resume import ResumeDecision, RunState
    from rivet.model.source import Position
    from rivet.sources.base import ReadCounters


@dataclass(slots=True)
class RunProgress:
    """Counters and findings of one run, with one owner: the coordinator, which adds to them.

    Attributes:
        counted: What was added so far; what can be told from the parts is not in it.
        positions: The places in the source's history that chunks were read at, earlier ones too.
        read_in: The instants that recorded parts of this run were read in, by number.
        rows: In recorded parts, as `bytes_written` are.
        earlier_instants: Those of the parts that a run that was resumed had already.
        resumed_at: When a run that was resumed went on; None for a fresh one.
        instant_doubt: Why what was read together may not be of one instant; None where it is.
        not_covered: What the run cannot promise of the rows, in plain words.
        destination_uri: Where its files would go; the plan says it, once there is one.
        day: That of the invocation that began it, as `{date}` has it.
        observed: What an earlier process told of the chunks that it had done.
        peak_mb: Gives the most memory the process has held so far, in mebibytes.
        finished_as: The good end of the run, once it is on record: nothing takes it back.
        in_flight: Rows, bytes read and bytes written of the chunks at work, by index.
        lock: Held while several threads change it.
    """

    export_name: str
    run_id: str
    started_at: datetime
    job: Job | None = None
    is_begun: bool = False
    counted: RunMetrics = field(default_factory=RunMetrics)
    parts: list[RecordedPart] = field(default_factory=list)
    rows: int = 0
    bytes_written: int = 0
    read_in: set[int] = field(default_factory=set)
    chunks_done: int = 0
    remarks: set[str] = field(default_factory=set)
    positions: set[Position | None] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    instant_doubt: str | None = None
    not_covered: list[str] = field(default_factory=list)
    kernel: str | None = None
    skip_reason: str | None = None
    guarantee: str | None = None
    earlier_instants: int = 0
    resumed_at: datetime | None = None
    day: str = ""
    destination_uri: str = ""
    observed: tuple[str, ...] = ()
    peak_mb: Callable[[], int] = int
    finished_as: str | None = None
    in_flight: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin_as(self, decision: ResumeDecision) -> None:
        """Become the run that was decided on; one that goes on keeps when it began."""
        self.day = decision.day
        if decision.row is not None:
            self.run_id = decision.row.run_id
            self.resumed_at, self.started_at = self.started_at, decision.row.record.started_at

    def go_on_from(self, state: RunState) -> None:
        """Count what the run had done before."""
        self.add_parts(state.parts)
        self.observed = state.observed
        self.earlier_instants = state.instants
        self.positions |= {part.instant for part in state.parts}
        self.chunks_done = state.chunks_done

    @property
    def position(self) -> Position | None:
        """The earliest place in the source's history that was read; None where it is not known."""
        return earliest(self.positions)

    def add_parts(self, parts: Sequence[RecordedPart]) -> None:
        """Add parts that are on record. From any thread."""
        with self.lock:
            self.parts.extend(parts)
            self.rows += sum(part.stats.rows for part in parts)
            self.bytes_written += sum(part.stats.size_bytes for part in parts)

    @property
    def bytes_read(self) -> int:
        """Bytes that finished streams received from the database."""
        return self.counted.bytes_read

    def add(self, metrics: RunMetrics) -> None:
        """Add counts and findings. From any thread."""
        with self.lock:
            self.counted = merged(self.counted, metrics)

    def take_counters(self, counters: ReadCounters) -> None:
        """Add what a finished stream counted. From any thread."""
        metrics = RunMetrics(
            bytes_read=counters.wire_bytes,
            longest_statement_s=counters.longest_statement_s,
            nulled=by_name(counters.nulled),
        )
        with self.lock:
            self.add(metrics)
            self.remarks |= counters.remarks

    def metrics(self, finished_at: datetime, peak_rss_mb: int) -> RunMetrics:
        """Return the metrics as they are now, frozen."""
        taken = finished_at - (self.resumed_at or self.started_at)
        return replace(
            self.counted,
            rows=self.rows,
            file_count=len(self.parts),
            bytes_written=self.bytes_written,
            duration_ms=round(taken.total_seconds() * 1000),
            peak_rss_mb=peak_rss_mb,
            instants=len(self.read_in) + self.earlier_instants,
        )

    def report(
        self,
        status: str,
        *,
        finished_at: datetime,
        peak_rss_mb: int,
        failure: Failure | None = None,
    ) -> ExportReport:
        """Return the report of the run with this verdict."""
        return ExportReport(
            export_name=self.export_name,
            status=status,
            run_id=self.run_id,
            plan=self._summary(),
            files=tuple(self.parts),
            started_at=self.started_at,
            finished_at=finished_at,
            position=self.position,
            warnings=tuple(self.warnings),
            not_covered=tuple(self.not_covered),
            kernel=self.kernel,
            failure=failure,
            skip_reason=self.skip_reason,
            guarantee=self.guarantee,
            instant_doubt=self.instant_doubt,
            **self.metrics(finished_at, peak_rss_mb).values(),
        )

    def _summary(self) -> PlanSummary:
        if self.job is None:
            return PlanSummary(destination_uri=self.destination_uri)
        plan = self.job.plan
        return PlanSummary(
            mode=str(plan.mode),
            engine=plan.engine,
            destination_type=plan.destination_type,
            destination_uri=plan.destination_uri,
            format=plan.output.format,
            compression=str(plan.output.writer.compression),
            tuning_profile=plan.tuning.profile,
            batch_size=plan.tuning.batch_rows,
        )


def failure_of(error: BaseException) -> Failure:
    """Describe an error for reports: redacted, control bytes made visible.

    What the frames it came through held, batches of rows perhaps, is given up; secrets are masked
    in the errors behind it, for the library raises it with them.
    """
    clear_frames(error.__traceback__)
    cleanse(error)
    if isinstance(error, RivetError):
        return Failure(
            code=error.error_code,
            message=visible(redact(error.message)),
            hint=visible(redact(error.hint)) if error.hint else None,
            exit_code=error.exit_status,
            retryable=error.retryable,
            error_class=type(error).__name__,
            rows_read=int(error.context.get("rows_read", 0)),
            error=error,
        )
    return Failure(
        code=InternalError.code,
        message=visible(redact(f"unexpected {type(error).__name__}: {error}")),
        hint="this is a bug: please report it with the command and the version",
        exit_code=InternalError.exit_code,
        retryable=False,
    )


def outcome_of(report: ExportReport, finished_at: datetime) -> RunOutcome:
    """Return the verdict as the state keeps it."""
    return RunOutcome(
        status=RunStatus(report.status),
        finished_at=finished_at,
        error_code=report.failure.code if report.failure else None,
        error_message=report.failure.message if report.failure else None,
        skip_reason=report.skip_reason,
        **report.values(),
    )
