"""The thread pool of chunks: each is run once, the first failure ends the giving out."""

from __future__ import annotations

import threading

import pytest

from rivet.errors import SourceInterruptedError
from rivet.execution.pool.governor import Permits
from rivet.execution.pool.threads import run_chunks
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import SessionPool
from rivet.model.chunk import Chunk
from rivet.model.source import SessionSettings
from rivet.model.span import WHOLE
from support.stubengine import ADDRESS, StubEngine

CHUNKS = [Chunk(index, WHOLE) for index in range(12)]


def pool():
    return SnapshotHolder(SessionPool(StubEngine(), ADDRESS, SessionSettings()))


class Crew:
    """Keeps what was run, and how many at a time."""

    def __init__(self, fails=()):
        self.fails, self.done, self.now, self.most = fails, [], 0, 0
        self.lock = threading.Lock()

    def run(self, chunk):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            threading.Event().wait(0.01)
            if chunk.index in self.fails:
                raise SourceInterruptedError(f"chunk {chunk.index}")
        finally:
            with self.lock:
                self.now -= 1
        with self.lock:
            self.done.append(chunk.index)


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_each_chunk_is_run_once(workers):
    crew = Crew()
    run_chunks(CHUNKS, Permits(workers), crew.run, pool())
    assert sorted(crew.done) == list(range(12))
    assert crew.most <= workers
    assert workers > 1 or crew.done == list(range(12))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_failure_is_raised_and_no_more_are_begun(workers):
    crew = Crew(fails={2})
    with pytest.raises(SourceInterruptedError, match="chunk 2"):
        run_chunks(CHUNKS, Permits(workers), crew.run, pool())
    assert crew.now == 0
    assert set(crew.done) <= set(range(2 + workers)) - {2}


def test_whoever_has_nothing_to_do_asks_for_more():
    crew, extra = Crew(), [Chunk(12, WHOLE), Chunk(13, WHOLE)]
    begun = threading.Event()

    def more():
        begun.set()
        return extra.pop() if extra else None

    def run(chunk):
        if chunk.index == 0:
            assert begun.wait(5)
        crew.run(chunk)

    run_chunks(CHUNKS[:2], Permits(2), run, pool(), more)
    assert {0, 1} < set(crew.done)


def test_an_interrupt_cancels_what_runs():
    snapshots = pool()
    cancelled = threading.Event()
    snapshots.sessions.cancel_all = cancelled.set

    def ping():
        raise KeyboardInterrupt

    snapshots.ping = ping
    with pytest.raises(KeyboardInterrupt):
        run_chunks(CHUNKS[:4], Permits(2), lambda _: cancelled.wait(5), snapshots)
    assert cancelled.is_set()
