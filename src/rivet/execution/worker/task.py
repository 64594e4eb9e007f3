"""Worker task: read one chunk, encode it, store its parts; the same wherever it runs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from rivet.execution.worker.contract import ChunkResult, ReadProgress
from rivet.execution.worker.enrich import Enricher
from rivet.execution.worker.observe import Observations
from rivet.execution.worker.parts import Flow, PartWriter
from rivet.execution.worker.readback import ReadBack
from rivet.execution.worker.validate import validate_parts
from rivet.formats import load_format
from rivet.model.part import StoredPart
from rivet.model.relation import ReadRequest
from rivet.model.span import WHOLE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rivet.execution.worker.contract import ChunkTask, Environment
    from rivet.model.sink import PreparedPart
    from rivet.model.source import Position
    from rivet.sources.base import BatchStream, Session

SLICE_SHARE: Final = 2.0
"""How large a slice may be, in what may be read ahead; see docs/adr/0018."""
NOTHING_PUBLISHED: Final = "nothing was published; the last good files are untouched"


def run_task(task: ChunkTask, env: Environment) -> ChunkResult:
    """Run one attempt at one chunk.

    A task that is run twice stores its parts under the same names and fails the second time; one
    of a later claim has names of its own.

    Args:
        task: What to do.
        env: What this process lends: sessions, the open destination, a channel to tell by.

    Raises:
        RivetError: It failed; parts that it had told of stay, and nothing refers to them.
    """
    with env.reading(task) as (session, snapshot):
        attempt = _Attempt(task, env, session)
        stored = []
        # Closed before the session is: it may be in the middle of a statement.
        with closing(attempt.parts()) as parts:
            for part in parts:
                stored.append(store(part, snapshot.position))
                env.channel.stored(task.claim, stored[-1])
        if task.is_one_of_many and not task.holds_snapshot:
            session.release()  # the next chunk has an instant of its own
    seen, counters = attempt.observations, attempt.stream.counters
    seen.nulled = dict(counters.nulled)
    return ChunkResult(tuple(stored), seen, counters, snapshot)


def store(part: PreparedPart, instant: Position | None = None) -> StoredPart:
    """Make a part durable under its final name.

    Args:
        part: A whole file.
        instant: The place in the source's history it was read from.

    Raises:
        ObjectExistsError: The name is taken; nothing was changed.
        DestinationError: The write failed; nothing is visible under the name.
    """
    info = part.sink.publish()
    return StoredPart(part.name, info.uri, part.ordinal, part.stats, instant)


def read_request(task: ChunkTask) -> ReadRequest:
    """Return the read of a task's chunk."""
    plan, span = task.plan, task.claim.chunk.span
    tuning = plan.tuning
    return ReadRequest(
        relation=plan.relation,
        columns=plan.columns,
        batch_rows=tuning.batch_rows,
        batch_bytes=tuning.batch_bytes,
        max_value_bytes=tuning.max_value_bytes,
        holds_snapshot=task.holds_snapshot,
        is_whole=task.takes_all_columns,
        spans=() if span == WHOLE else (span,),
        fetch_rows=tuning.fetch_rows,
        slice_s=tuning.max_statement_s,
        slice_bytes=int(SLICE_SHARE * tuning.read_ahead_bytes),
        # A pause comes between two statements: each holds about a batch, where one is asked for.
        slice_rows=tuning.batch_rows if tuning.throttle_ms else 0,
    )


class _Attempt:
    """One attempt at one task, on a session that it has."""

    def __init__(self, task: ChunkTask, env: Environment, session: Session) -> None:
        self._task = task
        self._env = env
        schema = task.schema
        self.observations = Observations.of(task.rules, schema)
        self._writer = PartWriter(
            task.claim,
            file_format=load_format(task.plan.output.format),
            output=task.plan.output,
            enricher=Enricher(schema, task.plan.output, exported_at=task.plan.started_at),
            observations=self.observations,
            destination=ReadBack(env.destination) if task.validates else env.destination,
        )
        self.stream: BatchStream = session.read(read_request(task))

    def parts(self) -> Generator[PreparedPart]:
        """Yield each part once it is whole; drop what nobody published."""
        task, env = self._task, self._env
        parts: Iterator[PreparedPart] = self._writer.write(
            self.stream, task.plan.tuning, self._on_batch
        )
        env.begun(task.claim, self.stream)
        if task.validates:
            parts = validate_parts(parts, task.plan.output.format)
        gate = self.observations.gate
        try:
            if gate is None or task.is_one_of_many:
                yield from parts
            else:
                held = list(parts)  # nothing may be published before the gate's verdict
                gate.refuse(task.plan.export_name, NOTHING_PUBLISHED)
                yield from held
        finally:
            env.ended(task.claim)
            self._writer.drop_unpublished()

    def _on_batch(self, flow: Flow) -> None:
        self._env.check(self._task)
        wire_bytes = self.stream.counters.wire_bytes
        told = ReadProgress(flow.rows, wire_bytes, flow.bytes_written)
        self._env.channel.progressed(self._task.claim, told)
