"""Thread pool of chunks: one thread each, up to as many as were asked for.

The first failure ends the giving out of chunks; those at work end on their own, so that what they
have done is recorded. A request to stop cancels what runs on the server.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rivet.execution.pool.governor import Permits
    from rivet.execution.snapshot.holder import SnapshotHolder
    from rivet.model.chunk import Chunk

LOOK_S: Final = 0.2
"""How often the waiting thread, and a worker that has nothing to do, look around."""


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
) -> None:
    """Run every chunk, as many at a time as there are permits at the most.

    Args:
        chunks: In the order in which they begin.
        permits: One runs them in this thread.
        run: Runs one chunk to its end; called from several threads.
        more: Asked by a worker that has nothing left to do, while others are at work: part of a
            chunk that runs long.
        snapshots: What they read in; kept alive, and cancelled where this thread is interrupted.

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
            snapshots.sessions.cancel_all()
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
