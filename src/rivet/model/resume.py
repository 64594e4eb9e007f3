"""Resume of a run: what was decided about it, and what of an earlier process still counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rivet.model.chunk import Chunk
    from rivet.model.part import RecordedPart
    from rivet.model.run import RunRow


@dataclass(frozen=True, slots=True)
class ResumeDecision:
    """What a run begins with; decided once, under the export's lock, before anything is contacted.

    Attributes:
        row: The run that goes on; None for a fresh one.
        note: Why a run that was asked to go on does not.
        complete: The run that has nothing left to do; nothing is to be run.
        day: That of the invocation which began the run, as `{date}` has it.
    """

    row: RunRow | None = None
    note: str | None = None
    complete: RunRow | None = None
    day: str = ""


@dataclass(frozen=True, slots=True)
class RunState:
    """What a run has done before its first row of now; nothing, for a fresh one.

    Attributes:
        chunks: All chunks of the run.
        pending: Those that are to be read.
        parts: Recorded parts which the destination still holds as they are known.
        observed: What was observed of the rows in them, a document per chunk: what the quality
            rules ask about, and how many values became NULL.
    """

    chunks: tuple[Chunk, ...]
    pending: tuple[Chunk, ...]
    parts: tuple[RecordedPart, ...] = ()
    observed: tuple[str, ...] = ()

    @classmethod
    def fresh(cls, chunks: tuple[Chunk, ...]) -> RunState:
        """Return the state of a run that begins."""
        return cls(chunks, chunks)

    @property
    def chunks_done(self) -> int:
        """How many chunks need not be read."""
        return len(self.chunks) - len(self.pending)

    @property
    def instants(self) -> int:
        """How many instants of the source the parts are of."""
        return len({part.instant for part in self.parts})
