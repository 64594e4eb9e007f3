"""Dispatch of chunk tasks: claim a chunk, have a worker run it, record it, retry where safe."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rivet.errors import QualityGateError
from rivet.events import ChunkStarted, Progress, RetryAttempted
from rivet.execution.pool.memory import resident_bytes
from rivet.execution.pool.threads import ThreadWorkers
from rivet.execution.run.commit import failure_noted, record, stored_event
from rivet.execution.run.prepare import export_sink
from rivet.execution.warning import warn
from rivet.execution.worker.contract import ChunkTask
from rivet.execution.worker.retry import attempts
from rivet.model.chunk import Chunk, Claim
from rivet.model.metrics import RunMetrics, by_name
from rivet.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.pool.splitting import Splitter
    from rivet.execution.progress import RunProgress
    from rivet.execution.snapshot.holder import SnapshotHolder
    from rivet.execution.worker.contract import ChunkResult, ReadProgress, WorkerPool
    from rivet.execution.worker.quality import QualityGate
    from rivet.model.part import RecordedPart, StoredPart

_PROGRESS_INTERVAL_S: Final = 0.12
_MEBIBYTE: Final = 1024 * 1024
_MEMORY_WAIT_S: Final = 1.0
_MEMORY_WAITS: Final = 5


class ChunkDispatcher:
    """Has the chunks of one export run; every method may be called from several threads.

    Args:
        job: The export.
        template: A task of this run; the claim is exchanged for that of each chunk.
        workers: Run the tasks.
        context: What the exports of this invocation share.
        ledger: The run.
        splitter: Gives parts of chunks to workers that have nothing to do; None for one worker.

    Attributes:
        context: As given.
        ledger: As given.
        splitter: As given.
        workers: As given.
        observations: What is known of the rows of all recorded chunks.
    """

    def __init__(
        self,
        job: Job,
        template: ChunkTask,
        workers: WorkerPool,
        context: RunContext,
        ledger: RunProgress,
        splitter: Splitter | None = None,
    ) -> None:
        self._job = job
        self._template = template
        self.workers = workers
        self.context = context
        self.ledger = ledger
        self.splitter = splitter
        self.observations = job.observations()
        for told in ledger.observed:
            self.observations.merge_json(told)
        ledger.add(RunMetrics(nulled=by_name(self.observations.nulled)))
        self._progressed_at = 0.0
        self._telling = threading.Lock()
        self._has_warned = False

    def run(self, chunk: Chunk) -> None:
        """Have one chunk run and record it.

        Raises:
            RivetError: It failed for good; what it had stored is not data.
        """
        plan, context = self._job.plan, self.context
        told = _Told(self)
        sleep = context.stop.sleep if context.stop else time.sleep
        self._wait_for_memory(sleep)
        for attempt in attempts(
            self._job.retry,
            may_retry=lambda: not told.has_stored and not self.workers.is_cancelled,
            on_retry=lambda *said: self._count_retry(chunk, *said),
            sleep=sleep,
        ):
            with attempt:
                now = self.splitter.chunk_now(chunk) if self.splitter else chunk
                claim = context.state.claim(plan.run_id, plan.export_name, now)
                context.emit(ChunkStarted(plan.export_name, plan.run_id, chunk.index, claim.number))
                with failure_noted(claim, context.state):
                    result = self._work(replace(self._template, claim=claim), told)
                    seen = result.observations.to_json() if self._job.is_resumable else None
                    recorded = record(claim, result.stored, seen, context.state, context.emit)
                self._add(claim, result, recorded)

    def _work(self, task: ChunkTask, told: _Told) -> ChunkResult:
        """Run a task; a gate that holds parts back until it is known is the worker's."""
        try:
            result = self.workers.run(task, told)
        except QualityGateError:
            self.ledger.add(RunMetrics(quality_passed=False))
            raise
        gate = result.observations.gate
        if gate is not None and not task.is_one_of_many:
            self._tell_verdict(gate)
        return result

    def judge(self, hint: str) -> None:
        """Hold the rows of all chunks against the export's rules.

        Args:
            hint: What became of the files.

        Raises:
            QualityGateError: They do not hold.
        """
        gate = self.observations.gate
        if gate is not None:
            self._tell_verdict(gate)
            gate.refuse(self.ledger.export_name, hint)

    def _tell_verdict(self, gate: QualityGate) -> None:
        problems, remarks = gate.verdict()
        self.ledger.add(RunMetrics(quality_passed=not problems))
        for remark in remarks:
            warn(self.context, self.ledger, "quality", remark)

    def _add(self, claim: Claim, result: ChunkResult, recorded: tuple[RecordedPart, ...]) -> None:
        ledger, snapshot = self.ledger, result.snapshot
        with ledger.lock:
            ledger.add_parts(recorded)
            ledger.take_counters(result.counters)
            self.observations.merge(result.observations)
            ledger.in_flight.pop(claim.chunk.index, None)
            ledger.positions.add(snapshot.position)
            ledger.read_in.add(snapshot.number)
            ledger.chunks_done += 1
        self._tell_totals()

    def _count_retry(self, chunk: Chunk, attempt: int, wait_s: float, error: Exception) -> None:
        plan = self._job.plan
        self.ledger.add(RunMetrics(retries=1))
        self.context.emit(
            RetryAttempted(
                export_name=plan.export_name,
                run_id=plan.run_id,
                chunk_index=chunk.index,
                attempt=attempt,
                wait_s=wait_s,
                reason=redact(str(error)),
            )
        )

    def _wait_for_memory(self, sleep: Callable[[float], None]) -> None:
        """Wait a little before a chunk while the process holds more memory than it should."""
        limit = self._job.plan.tuning.memory_threshold_bytes
        for _ in range(_MEMORY_WAITS if limit else 0):
            if resident_bytes() <= limit:
                return
            if not self._has_warned:
                self._has_warned = True
                text = f"chunks wait: the process holds more than {limit // _MEBIBYTE:,} MB"
                warn(self.context, self.ledger, "memory", text)
            sleep(_MEMORY_WAIT_S)

    def tell_stored(self, claim: Claim, part: StoredPart) -> None:
        """Tell everybody of a part that is durable and not yet data."""
        self.context.emit(stored_event(part, claim))

    def tell_progress(self, claim: Claim, progress: ReadProgress) -> None:
        """Tell everybody how far the run is, not too often."""
        ledger, now = self.ledger, time.monotonic()
        with ledger.lock:
            ledger.in_flight[claim.chunk.index] = (
                progress.rows,
                progress.bytes_read,
                progress.bytes_written,
            )
            if now - self._progressed_at < _PROGRESS_INTERVAL_S:
                return
            self._progressed_at = now
        self._tell_totals()

    def _tell_totals(self) -> None:
        """Tell how far the run is, in order: what is told last is the most there was."""
        ledger = self.ledger
        with self._telling:
            with ledger.lock:
                at_work = [sum(column) for column in zip(*ledger.in_flight.values(), strict=True)]
                rows, read, written = at_work or (0, 0, 0)
                event = Progress(
                    export_name=ledger.export_name,
                    chunks_done=ledger.chunks_done,
                    rows=ledger.rows + rows,
                    bytes_read=ledger.bytes_read + read,
                    bytes_written=ledger.bytes_written + written,
                )
            self.context.emit(event)


class _Told:
    """The channel of the attempts at one chunk: knows whether anything of it is durable."""

    def __init__(self, dispatcher: ChunkDispatcher) -> None:
        self._dispatcher = dispatcher
        self.has_stored = False

    def progressed(self, claim: Claim, progress: ReadProgress) -> None:
        """Tell how far it is."""
        self._dispatcher.tell_progress(claim, progress)

    def stored(self, claim: Claim, part: StoredPart) -> None:
        """Tell of a part that is durable."""
        self.has_stored = True
        self._dispatcher.tell_stored(claim, part)


def dispatch_to_workers(
    job: Job,
    snapshots: SnapshotHolder,
    destination: Destination,
    context: RunContext,
    ledger: RunProgress,
    splitter: Splitter | None = None,
) -> ChunkDispatcher:
    """Return the dispatcher of a run, with the workers that its context asks for."""
    threads = ThreadWorkers(snapshots, destination, context.stop, splitter)
    workers = threads if context.workers is None else context.workers(threads)
    template = _template(job, snapshots, context, ledger)
    return ChunkDispatcher(job, template, workers, context, ledger, splitter)


def _template(
    job: Job, snapshots: SnapshotHolder, context: RunContext, ledger: RunProgress
) -> ChunkTask:
    """Return what all tasks of the run have in common, with a claim on nothing."""
    plan, export = job.plan, job.export
    return ChunkTask(
        plan,
        Claim(plan.run_id, plan.export_name, Chunk(0), 0),
        snapshots.sessions.source[0],
        export_sink(export, context.config.base_dir, run_id=ledger.run_id, day=ledger.day),
        snapshot=context.snapshot if snapshots.is_imported else None,
        rules=job.rules,
        takes_all_columns=job.takes_all_columns,
        holds_snapshot=context.options.reconcile or snapshots.is_held,
        validates=context.options.validate,
    )
