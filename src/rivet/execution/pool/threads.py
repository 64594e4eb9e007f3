"""Thread pool of chunk tasks: one thread each, up to as many as were asked for.

The first failure ends the giving out of chunks; those at work end on their own, so that what they
have done is recorded. A request to stop cancels what runs on the server.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.errors import SourceError, SourceInterruptedError
from rivet.execution.worker.task import run_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from rivet.destinations.base import Destination
    from rivet.execution.pool.governor import Permits
    from rivet.execution.pool.splitting import Splitter
    from rivet.execution.snapshot.holder import SnapshotHolder
    from rivet.execution.stopping import StopRequest
    from rivet.execution.worker.contract import ChunkResult, ChunkTask, TaskChannel
    from rivet.model.chunk import Chunk, Claim
    from rivet.model.source import Snapshot
    from rivet.sources.base import BatchStream, Session

LOOK_S: Final = 0.2
"""How often the waiting thread, and a worker that has nothing to do, look around."""


@dataclass(frozen=True, slots=True)
class ThreadWorkers:
    """Worker pool of this process: tasks share its sessions and its open destination.

    Attributes:
        snapshots: Lends sessions, in the instant that they share.
        destination: Where parts go.
        stop: A request to end; None where a signal reaches this thread.
        splitter: Told of reads that may be split; None for one worker.
    """

    snapshots: SnapshotHolder
    destination: Destination
    stop: StopRequest | None = None
    splitter: Splitter | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether sessions were cancelled for good."""
        return self.snapshots.sessions.is_cancelled

    def cancel_all(self) -> None:
        """Cancel what the sessions run, for good."""
        self.snapshots.sessions.cancel_all()

    def run(self, task: ChunkTask, channel: TaskChannel) -> ChunkResult:
        """Run one task in this thread.

        Raises:
            RivetError: It failed.
        """
        return run_task(task, ThreadEnvironment(self, channel))


@dataclass(frozen=True, slots=True)
class ThreadEnvironment:
    """What this process lends to a task."""

    workers: ThreadWorkers
    channel: TaskChannel

    @property
    def destination(self) -> Destination:
        """The destination that all tasks share."""
        return self.workers.destination

    def reading(self, task: ChunkTask) -> AbstractContextManager[tuple[Session, Snapshot]]:
        """Acquire a session of the pool.

        Raises:
            SourceError: No session can be opened, or the shared snapshot is lost.
        """
        return self.workers.snapshots.reading(task.plan.relation)

    def check(self, task: ChunkTask) -> None:
        """End a task whose run is stopped, or whose snapshot is too old.

        Raises:
            SourceInterruptedError: The run was stopped.
            SourceError: The snapshot is older than its limit.
        """
        if self.workers.stop is not None:
            self.workers.stop.check()
        if self.workers.is_cancelled:
            msg = "the run was stopped"
            raise SourceInterruptedError(msg)
        limit, age = task.plan.tuning.max_snapshot_age_s, self.workers.snapshots.age_s
        if limit and age > limit:
            msg = f"the instant that is read is {age:.0f} s old, the limit is {limit:.0f} s"
            hint = (
                "--resume goes on in another instant where that is safe; or raise "
                "`tuning.max_snapshot_age_s`, or set `consistency: chunk`"
            )
            raise SourceError(msg, hint=hint, code="RIVET_SOURCE_SNAPSHOT_AGE")

    def begun(self, claim: Claim, stream: BatchStream) -> None:
        """Let idle workers take parts of this read."""
        if self.workers.splitter is not None:
            self.workers.splitter.begin(claim, stream)

    def ended(self, claim: Claim) -> None:
        """Let nobody take parts of it any more."""
        if self.workers.splitter is not None:
            self.workers.splitter.end(claim)


def _nothing() -> Chunk | None:
    return None


class _Source:
    """Gives chunks to several threads, until somebody says that it is enough."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks: Iterator[Chunk] = iter(chunks)
        self._lock = threading.Lock()
        self._is_over = False

    def __iter__(self) -> Iterator[Chunk]:
        while (chunk := self._next()) is not None:
            yield chunk

    def stop(self) -> None:
        self._is_over = True

    def is_over(self) -> bool:
        return self._is_over

    def _next(self) -> Chunk | None:
        with self._lock:
            return None if self._is_over else next(self._chunks, None)


def run_chunks(
    chunks: Iterable[Chunk],
    permits: Permits,
    run: Callable[[Chunk], None],
    snapshots: SnapshotHolder,
    more: Callable[[], Chunk | None] = _nothing,
    cancel: Callable[[], None] | None = None,
) -> None:
    """Run every chunk, as many at a time as there are permits at the most.

    Args:
        chunks: In the order in which they begin.
        permits: One runs them in this thread.
        run: Runs one chunk to its end; called from several threads.
        more: Asked by a worker that has nothing left to do, while others are at work: part of a
            chunk that runs long.
        snapshots: What they read in; kept alive.
        cancel: Called where this thread is interrupted; None cancels the sessions.

    Raises:
        BaseException: The first failure of a chunk, or what this thread was interrupted by; no
            chunk is at work any more.
    """
    workers = permits.allowed
    if workers == 1:
        for chunk in chunks:
            run(chunk)
        return
    source = _Source(chunks)
    crew = _Crew(source, permits, run, more)
    with ThreadPoolExecutor(workers, thread_name_prefix="rivet-chunk") as pool:
        futures = [pool.submit(crew.work) for _ in range(workers)]
        try:
            left = set(futures)
            while left:
                _, left = wait(left, timeout=LOOK_S, return_when=FIRST_EXCEPTION)
                snapshots.ping()
        except BaseException:
            source.stop()
            (cancel or snapshots.sessions.cancel_all)()
            raise
    for future in futures:
        future.result()


@dataclass(frozen=True, slots=True)
class _Crew:
    """What every worker does: chunks as long as there are any, then parts of those of others."""

    source: _Source
    permits: Permits
    run: Callable[[Chunk], None]
    more: Callable[[], Chunk | None]

    def work(self) -> None:
        """Work until nothing is left, or until somebody failed."""
        try:
            for chunk in self.source:
                self._run_one(chunk)
            while self.permits.active and not self.source.is_over():
                extra = self.more()
                if extra is None:
                    time.sleep(LOOK_S)
                else:
                    self._run_one(extra)
        except BaseException:
            self.source.stop()
            raise

    def _run_one(self, chunk: Chunk) -> None:
        self.permits.acquire(self.source.is_over)
        try:
            if not self.source.is_over():
                self.run(chunk)
        finally:
            self.permits.release()
