"""Chunk task: read, write, store and record one chunk, with retries where they are safe."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import QualityGateError, SourceError, SourceInterruptedError
from rivet.events import ChunkStarted, Progress, RetryAttempted
from rivet.execution.pool.memory import resident_bytes
from rivet.execution.run.checks import validate_parts
from rivet.execution.run.commit import failure_noted, record, store, stored_event
from rivet.execution.warning import warn
from rivet.execution.worker.observe import Observations
from rivet.execution.worker.parts import Flow, PartWriter
from rivet.execution.worker.retry import attempts
from rivet.model.metrics import RunMetrics, by_name
from rivet.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.pool.splitting import Splitter
    from rivet.execution.progress import RunProgress
    from rivet.execution.snapshot.holder import SnapshotHolder
    from rivet.execution.worker.quality import QualityGate
    from rivet.model.chunk import Chunk, Claim
    from rivet.model.part import StoredPart
    from rivet.model.sink import PreparedPart
    from rivet.sources.base import Session

_PROGRESS_INTERVAL_S: Final = 0.12
_MEBIBYTE: Final = 1024 * 1024
_MEMORY_WAIT_S: Final = 1.0
_MEMORY_WAITS: Final = 5


class ChunkRunner:
    """Runs the chunks of one export; every method may be called from several threads.

    Attributes:
        context: What the exports of this invocation share.
        ledger: The run.
        splitter: Gives parts of chunks to workers that have nothing to do; None for one worker.
        gate: What is known of the rows of all recorded chunks, where the export has rules.
    """

    def __init__(
        self,
        job: Job,
        snapshots: SnapshotHolder,
        destination: Destination,
        context: RunContext,
        ledger: RunProgress,
        splitter: Splitter | None = None,
    ) -> None:
        self._job = job
        self._snapshots = snapshots
        self._destination = destination
        self.context = context
        self.ledger = ledger
        self.gate = job.gate()
        before = Observations(self.gate)
        for told in ledger.observed:
            before.absorb_json(told)
        ledger.add(RunMetrics(nulled=by_name(before.nulled)))
        self._progressed_at = 0.0
        self._has_warned = False
        self.splitter = splitter

    def run(self, chunk: Chunk) -> None:
        """Run one chunk.

        Raises:
            RivetError: It failed for good; what it had stored is not data.
        """
        plan, context, ledger = self._job.plan, self.context, self.ledger
        durable: list[StoredPart] = []

        def on_retry(attempt: int, wait_s: float, error: Exception) -> None:
            ledger.add(RunMetrics(retries=1))
            context.emit(
                RetryAttempted(
                    export_name=plan.export_name,
                    run_id=plan.run_id,
                    chunk_index=chunk.index,
                    attempt=attempt,
                    wait_s=wait_s,
                    reason=redact(str(error)),
                )
            )

        sleep = context.stop.sleep if context.stop else time.sleep
        self._wait_for_memory(sleep)
        for attempt in attempts(
            self._job.retry,
            may_retry=lambda: not durable and not self._snapshots.sessions.is_cancelled,
            on_retry=on_retry,
            sleep=sleep,
        ):
            with attempt, self._snapshots.reading(plan.relation) as (session, instant):
                now = self.splitter.chunk_now(chunk) if self.splitter else chunk
                claim = context.state.claim(plan.run_id, plan.export_name, now)
                context.emit(ChunkStarted(plan.export_name, plan.run_id, chunk.index, claim.number))
                seen = Observations(self._job.gate())
                with self._unsplit_at_end(claim), failure_noted(claim, context.state):
                    # Closed before the session is: it may be in the middle of a statement.
                    with closing(self._read_parts(claim, session, seen)) as new:
                        for part in new:
                            durable.append(store(part, instant.position))
                            context.emit(stored_event(durable[-1], claim))
                    told = seen.to_json() if self._job.is_resumable else None
                    recorded = record(claim, tuple(durable), told, context.state, context.emit)
                with ledger.lock:
                    ledger.parts.extend(recorded)
                    if self.gate is not None and seen.gate is not None:
                        self.gate.absorb(seen.gate)
                    ledger.in_flight.pop(chunk.index, None)
                    # The earliest: what is of a later instant holds all that this one does.
                    if not ledger.earlier_instants and instant.number < min(
                        ledger.read_in, default=instant.number + 1
                    ):
                        ledger.position = instant.position
                    ledger.read_in.add(instant.number)
                    ledger.chunks_done += 1

    def _read_parts(
        self, claim: Claim, session: Session, seen: Observations
    ) -> Generator[PreparedPart]:
        job, context, ledger, gate = self._job, self.context, self.ledger, seen.gate
        plan = job.plan
        writer = PartWriter(
            claim,
            file_format=job.file_format,
            output=plan.output,
            enricher=job.enricher,
            gate=gate,
            destination=self._destination,
        )
        holds = context.options.reconcile or self._snapshots.is_held
        stream = session.read(job.request(claim.chunk.span, holds_snapshot=holds))

        def on_batch(flow: Flow) -> None:
            if context.stop is not None:
                context.stop.check()
            if self._snapshots.sessions.is_cancelled:
                msg = "the run was stopped"
                raise SourceInterruptedError(msg)
            self._check_age()
            self._progress(claim, flow, stream.counters.wire_bytes)

        parts: Iterator[PreparedPart] = writer.write(stream, plan.tuning, on_batch)
        if self.splitter is not None:
            self.splitter.begin(claim, stream)
        if context.options.validate:
            parts = validate_parts(parts, plan.output.format)
        try:
            if gate is None or job.is_chunked:
                yield from parts
            else:
                held = list(parts)  # nothing may be published before the gate's verdict
                judge(gate, context, ledger)
                yield from held
        finally:
            writer.drop_unpublished()
        ledger.take_counters(stream.counters)
        seen.nulled = dict(stream.counters.nulled)
        if not self._snapshots.is_held and not context.options.reconcile and job.is_chunked:
            session.release()  # the next chunk has an instant of its own

    @contextmanager
    def _unsplit_at_end(self, claim: Claim) -> Iterator[None]:
        try:
            yield
        finally:
            if self.splitter is not None:
                self.splitter.end(claim)

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

    def _check_age(self) -> None:
        limit = self._job.plan.tuning.max_snapshot_age_s
        age = self._snapshots.age_s
        if limit and age > limit:
            msg = f"the instant that is read is {age:.0f} s old, the limit is {limit:.0f} s"
            hint = (
                "--resume goes on in another instant where that is safe; or raise "
                "`tuning.max_snapshot_age_s`, or set `consistency: chunk`"
            )
            raise SourceError(msg, hint=hint, code="RIVET_SOURCE_SNAPSHOT_AGE")

    def _progress(self, claim: Claim, flow: Flow, wire_bytes: int) -> None:
        ledger, now = self.ledger, time.monotonic()
        with ledger.lock:
            ledger.in_flight[claim.chunk.index] = (flow.rows, wire_bytes, flow.bytes_written)
            if now - self._progressed_at < _PROGRESS_INTERVAL_S:
                return
            self._progressed_at = now
            rows, read, written = map(sum, zip(*ledger.in_flight.values(), strict=True))
            event = Progress(
                export_name=claim.export_name,
                chunks_done=ledger.chunks_done,
                rows=ledger.rows + rows,
                bytes_read=ledger.bytes_read + read,
                bytes_written=ledger.bytes_written + written,
            )
        self.context.emit(event)


def judge(gate: QualityGate, context: RunContext, ledger: RunProgress, published: str = "") -> None:
    """Hold the rows against the export's rules.

    Raises:
        QualityGateError: They do not hold.
    """
    problems, remarks = gate.verdict()
    ledger.add(RunMetrics(quality_passed=not problems))
    for remark in remarks:
        warn(context, ledger, "quality", remark)
    if problems:
        msg = (
            f"export '{ledger.export_name}': {len(problems)} quality check(s) failed: "
            f"{'; '.join(problems)}"
        )
        hint = published or "nothing was published; the last good files are untouched"
        raise QualityGateError(msg, hint=hint)
