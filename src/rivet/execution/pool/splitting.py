"""Work stealing: an idle worker takes a part of a long chunk that is not begun.

The new chunk is on record before its owner gives it up, in one step with what the owner keeps, so
that a crash at any moment leaves chunks that share no row and lose none.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rivet.errors import RefusedError, SourceError, StateLockedError
from rivet.events import ProgressInit
from rivet.model.chunk import Chunk
from rivet.sources.base import SplittableStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.snapshot.holder import SnapshotHolder
    from rivet.model.chunk import Claim
    from rivet.model.span import Span
    from rivet.sources.base import AnswersKeyProbes, BatchStream

AFTER_VARIABLE: Final = "RIVET_SPLIT_AFTER_MS"
LONG_S: Final = 3.0
"""How long a chunk runs before it is split; one that is done sooner is not worth another file."""


class Splitter:
    """Knows which chunks are being read, and gives parts of them away.

    Args:
        job: The export.
        snapshots: Where keys are looked for.
        context: Its state records every split.
        chunk_count: How many chunks the run has so far.
        clock: Seconds that only go on.
    """

    def __init__(
        self,
        job: Job,
        snapshots: SnapshotHolder,
        context: RunContext,
        chunk_count: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        given = context.env.get(AFTER_VARIABLE, "")
        self._long_s = int(given) / 1000 if given.isdigit() else LONG_S
        self._job = job
        self._snapshots = snapshots
        self._context = context
        self._count = chunk_count
        self._at_work: dict[int, tuple[BatchStream, Claim, float]] = {}
        self._kept: dict[int, Chunk] = {}
        self._lock = threading.Lock()

    def chunk_now(self, chunk: Chunk) -> Chunk:
        """Return a chunk with what it still holds, after splits."""
        with self._lock:
            return self._kept.get(chunk.index, chunk)

    def begin(self, claim: Claim, stream: BatchStream) -> None:
        """Be told that a chunk is being read."""
        self._at_work[claim.chunk.index] = (stream, claim, self._clock())

    def end(self, claim: Claim) -> None:
        """Be told that it is not any more."""
        self._at_work.pop(claim.chunk.index, None)

    def steal(self) -> Chunk | None:
        """Take a part of the chunk that has run longest; None where there is none to take."""
        with self._lock:
            oldest = sorted(self._at_work.values(), key=lambda entry: entry[2])
            for stream, claim, begun_at in oldest:
                if self._clock() - begun_at < self._long_s or not isinstance(
                    stream, SplittableStream
                ):
                    continue
                chunk = self._split(stream, claim)
                if chunk is not None:
                    return chunk
        return None

    def _split(self, stream: SplittableStream, claim: Claim) -> Chunk | None:
        taken: list[Chunk] = []
        whole = self._kept.get(claim.chunk.index, claim.chunk).span

        def commit(given: Span) -> None:
            if (given.kind, given.columns) != (whole.kind, whole.columns):
                raise _NotAlikeError
            kept = replace(whole, upper=given.lower, takes_upper=not given.takes_lower)
            new = Chunk(
                self._count, replace(given, upper=whole.upper, takes_upper=whole.takes_upper)
            )
            self._context.state.split_chunk(claim, kept, new)
            self._kept[claim.chunk.index] = Chunk(claim.chunk.index, kept)
            self._count += 1
            taken.append(new)

        try:
            with self._snapshots.reading(self._job.plan.relation) as (session, _):
                self._split_off(stream, session, commit)
        except SourceError:
            return taken[0] if taken else None
        if not taken:
            return None
        name = self._job.plan.export_name
        self._context.emit(ProgressInit(export_name=name, total_chunks=self._count))
        return taken[0]

    @staticmethod
    def _split_off(
        stream: SplittableStream, session: AnswersKeyProbes, commit: Callable[[Span], None]
    ) -> None:
        # Nothing is wrong with the session where the chunk has come to its end meanwhile, or is
        # sliced by something else than it is cut by. A split that a busy state store did not take
        # was rolled back there, and the chunk keeps all it has.
        with suppress(_NotAlikeError, RefusedError, StateLockedError):
            stream.split_off(session.probe_keys, commit)


class _NotAlikeError(Exception):
    """What is given is not of the kind that the chunk is bounded by."""
