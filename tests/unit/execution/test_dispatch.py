"""Dispatch of chunks: claimed, run, recorded; tried again only while nothing is durable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from rivet.errors import RefusedError, SourceInterruptedError
from rivet.execution.progress import RunProgress
from rivet.execution.run.dispatch import ChunkDispatcher
from rivet.execution.worker.contract import ChunkResult, ReadProgress
from rivet.execution.worker.observe import Observations
from rivet.execution.worker.retry import RetryPolicy
from rivet.model.chunk import Chunk, Claim
from rivet.model.source import Position, Snapshot
from rivet.sources.base import ReadCounters
from rivet.state.store import open_store
from support.stubengine import FakeClock
from unit.state.behaviour import a_part, a_run

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNKS = (Chunk(0), Chunk(1))


@dataclass(frozen=True)
class Task:
    """What the dispatcher changes of a task."""

    claim: Claim
    is_one_of_many: bool = True


class Workers:
    """Runs tasks as it is told to, one part each."""

    is_cancelled = False

    def __init__(self) -> None:
        self.claims: list[tuple[int, int]] = []
        self.failures: list[Callable[..., None]] = []

    def run(self, task, channel):
        claim = task.claim
        self.claims.append((claim.chunk.index, claim.number))
        part = a_part(f"r1-{claim.chunk.index}-{claim.number}")
        if self.failures:
            self.failures.pop(0)(claim, part, channel)
        channel.stored(claim, part)
        counters = ReadCounters(rows=5, wire_bytes=7)
        snapshot = Snapshot(1, Position("pg", "lsn", "0/1"))
        return ChunkResult((part,), Observations.of(None, None), counters, snapshot)


class World:
    def __init__(self, folder, *, memory=0, retries=2):
        self.state = open_store(folder, url="")
        self.state.begin_run(a_run("r1"), CHUNKS)
        self.clock, self.slept, self.events = FakeClock(), [], []
        stop = SimpleNamespace(sleep=self.slept.append)
        context = SimpleNamespace(state=self.state, emit=self.events.append, stop=stop)
        tuning = SimpleNamespace(memory_threshold_bytes=memory)
        plan = SimpleNamespace(run_id="r1", export_name="orders", tuning=tuning)
        job = SimpleNamespace(
            plan=plan,
            retry=RetryPolicy(retries, 0.5),
            is_resumable=True,
            observations=lambda: Observations.of(None, None),
        )
        self.progress = RunProgress("orders", "r1", datetime.now(UTC))
        self.workers = Workers()
        template = Task(Claim("r1", "orders", Chunk(0), 0))
        self.dispatcher = ChunkDispatcher(job, template, self.workers, context, self.progress)

    @property
    def recorded(self):
        return [(part.chunk_index, part.claim_number) for part in self.state.parts("r1")]


@pytest.fixture
def world(tmp_path, request):
    world = World(tmp_path, **getattr(request, "param", {}))
    yield world
    world.state.close()


def cut(_claim, _part, _channel):
    raise SourceInterruptedError("the connection was cut")


def cut_after_a_part(claim, part, channel):
    channel.stored(claim, part)
    raise SourceInterruptedError("the connection was cut")


def test_each_chunk_is_claimed_run_and_recorded(world):
    for chunk in CHUNKS:
        world.dispatcher.run(chunk)
    assert world.recorded == [(0, 1), (1, 1)]
    assert (world.progress.chunks_done, world.progress.rows) == (2, 10)
    assert world.state.incomplete_chunks("r1") == 0
    assert world.slept == []


def test_the_last_totals_are_told_however_quick_the_chunks_are(world):
    def begin(claim, _part, channel):
        channel.progressed(claim, ReadProgress(3, 4, 5))

    world.workers.failures = [begin, begin]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(world.dispatcher.run, CHUNKS))
    told = [one for one in world.events if one.type == "progress"]
    assert (told[-1].chunks_done, told[-1].rows, told[-1].bytes_read) == (2, 10, 14)
    assert told[-1].bytes_written == world.progress.bytes_written
    assert [one.chunks_done for one in told] == sorted(one.chunks_done for one in told)
    assert {1, 2} <= {one.chunks_done for one in told}


def test_it_is_tried_again_under_another_claim_while_nothing_is_durable(world):
    world.workers.failures = [cut, cut]
    world.dispatcher.run(CHUNKS[0])
    assert world.workers.claims == [(0, 1), (0, 2), (0, 3)]
    assert world.recorded == [(0, 3)]
    assert world.slept == [0.5, 1.0]
    told = [event.type for event in world.events]
    assert told.count("retry_attempted") == 2


@pytest.mark.parametrize("failures", [[cut_after_a_part], [cut] * 3])
def test_it_is_not_where_a_part_is_durable_or_the_attempts_are_over(world, failures):
    count = len(failures)
    world.workers.failures = list(failures)
    with pytest.raises(SourceInterruptedError):
        world.dispatcher.run(CHUNKS[0])
    assert len(world.workers.claims) == count
    assert world.recorded == []
    assert world.state.incomplete_chunks("r1") == 2


def test_whoever_was_superseded_records_nothing(world):
    def take_over(claim, _part, _channel):
        world.state.claim("r1", "orders", claim.chunk)

    world.workers.failures = [take_over]
    with pytest.raises(RefusedError):
        world.dispatcher.run(CHUNKS[0])
    assert world.recorded == []


@pytest.mark.parametrize("world", [{"memory": 1}, {"memory": 1 << 50}], indirect=True)
def test_chunks_wait_while_the_process_holds_too_much_memory(world):
    for chunk in CHUNKS:
        world.dispatcher.run(chunk)
    is_full = world.dispatcher._job.plan.tuning.memory_threshold_bytes == 1
    assert world.slept == [1.0] * (10 if is_full else 0)
    assert len(world.progress.warnings) == int(is_full)
    assert world.recorded == [(0, 1), (1, 1)]
