"""Worker contract: a chunk task in, a chunk result out, both of them JSON where they must travel.

A worker knows what its task says and what its environment lends it: neither the state nor a
configuration file. Claims, retries and records are the coordinator's. See docs/adr/0040.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rivet.model.shape import ShapeKind

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from rivet.destinations.base import Destination
    from rivet.execution.worker.observe import Observations
    from rivet.model.chunk import Claim
    from rivet.model.part import StoredPart
    from rivet.model.plan import ExportPlan
    from rivet.model.quality import QualityRules
    from rivet.model.sink import SinkRef
    from rivet.model.source import SharedSnapshot, Snapshot
    from rivet.model.sourceref import SourceRef
    from rivet.sources.base import BatchStream, ReadCounters, Session


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """Everything a worker has to know to read, encode and store one chunk; holds no secret.

    Attributes:
        claim: The right to work on the chunk; its number is part of the names of the parts.
        source: Where the rows are, for a worker that opens a session of its own.
        sink: Where the parts go, for a worker that opens the destination itself.
        snapshot: The instant that sessions enter before they read; None where each has its own.
        rules: What is observed of the rows.
        takes_all_columns: The columns are all that the relation has, so that a new one is noticed.
        holds_snapshot: The session stays in its instant after the read.
        validates: Each part is counted again before it is published.
    """

    plan: ExportPlan
    claim: Claim
    source: SourceRef
    sink: SinkRef
    snapshot: SharedSnapshot | None = None
    rules: QualityRules | None = None
    takes_all_columns: bool = True
    holds_snapshot: bool = False
    validates: bool = False

    @property
    def is_one_of_many(self) -> bool:
        """Whether rules are judged over all chunks in the end, and parts published before that."""
        return self.plan.shape.kind is not ShapeKind.WHOLE

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the source's columns, without added ones."""
        from rivet.model.arrow import arrow_schema

        return arrow_schema(self.plan.columns)


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What became of a task: parts that are stored, and are data only once they are recorded.

    Attributes:
        snapshot: What was read in; numbers are those of the process that read.
    """

    stored: tuple[StoredPart, ...]
    observations: Observations
    counters: ReadCounters
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """How far an attempt at a chunk has come."""

    rows: int
    bytes_read: int
    bytes_written: int


class TaskChannel(Protocol):
    """Tells the coordinator of a task that is being run; called from the worker's thread."""

    def progressed(self, claim: Claim, progress: ReadProgress) -> None:
        """Tell how far it is, after each batch."""
        ...

    def stored(self, claim: Claim, part: StoredPart) -> None:
        """Tell of a part that is durable: from here on the task must not be tried again."""
        ...


class Environment(Protocol):
    """What a process lends to the tasks that it runs."""

    @property
    def destination(self) -> Destination:
        """Where parts go, open."""
        ...

    @property
    def channel(self) -> TaskChannel:
        """How to tell what goes on."""
        ...

    def reading(self, task: ChunkTask) -> AbstractContextManager[tuple[Session, Snapshot]]:
        """Acquire a session together with the instant it reads in.

        Raises:
            SourceError: There is none, or it cannot enter the instant.
        """
        ...

    def check(self, task: ChunkTask) -> None:
        """Be asked after each batch whether the task goes on.

        Raises:
            RivetError: It does not, and why.
        """
        ...

    def begun(self, claim: Claim, stream: BatchStream) -> None:
        """Be told of a read that has begun, a part of which might be given to somebody else."""
        ...

    def ended(self, claim: Claim) -> None:
        """Be told that nothing of it can be given away any more."""
        ...


class WorkerPool(Protocol):
    """Runs tasks: in threads of this process, in other processes, on other hosts."""

    @property
    def is_cancelled(self) -> bool:
        """Whether nothing is to be begun any more."""
        ...

    def cancel_all(self) -> None:
        """End all tasks for good; callable from any thread."""
        ...

    def run(self, task: ChunkTask, channel: TaskChannel) -> ChunkResult:
        """Run one task to its end; called from as many threads as tasks may run at a time.

        Raises:
            RivetError: It failed; what it had stored is not data.
        """
        ...
