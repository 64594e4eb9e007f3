"""The engine seam: what every engine's package offers.

An engine's package (its `__init__`) offers `CAPABILITIES`, `connect` and `parse_table`; everything
else is its own. A session is the sum of small protocols, and whoever needs one takes that one; what
only some sessions can do stands in `sources/abilities.py` and is asked for by `isinstance`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    import pyarrow as pa

    from rivet.model.columns import Column, ColumnRules
    from rivet.model.relation import KeyProbe, ReadRequest, Relation, TableFacts
    from rivet.model.source import Position, SessionSettings, SourceAddress
    from rivet.model.span import Span
    from rivet.model.window import Horizon


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Static facts of an engine.

    Attributes:
        name: Canonical engine name.
        title: How people write it.
        is_networked: Reached over a network, so TLS and hosts matter.
        default_port: None for file databases.
        url_schemes: URL schemes it takes.
        has_kernel: Rows are decoded by the compiled kernel.
        shares_snapshot: Several sessions can read one instant.
        rejoins_snapshot: A session can enter an instant that another one has been in for a while.
        cancels_by_connection: What runs in a session is cancelled over a connection of its own.
        is_at_or_before: Compares two positions of its log; None where it has none.
    """

    name: str
    title: str
    is_networked: bool
    default_port: int | None
    url_schemes: tuple[str, ...]
    has_kernel: bool
    shares_snapshot: bool
    rejoins_snapshot: bool = False
    cancels_by_connection: bool = False
    is_at_or_before: Callable[[str, str], bool] | None = None


@dataclass(slots=True)
class ReadCounters:
    """What a stream counted while it was read; complete once it is exhausted.

    Attributes:
        rows: Rows yielded.
        wire_bytes: Bytes received from the database; 0 where there is no wire.
        nulled: Column name to the number of values that a `null` policy turned into NULL.
        longest_statement_s: The longest time one statement blocked on the server.
        remarks: What the server says became of values in the statements.
    """

    rows: int = 0
    wire_bytes: int = 0
    nulled: dict[str, int] = field(default_factory=dict)
    longest_statement_s: float = 0.0
    remarks: set[str] = field(default_factory=set)


class BatchStream(Protocol):
    """Record batches pulled one at a time; closing it early cancels the statement."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch, known before the first row."""
        ...

    @property
    def counters(self) -> ReadCounters:
        """Live counters; readable from another thread."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def close(self) -> None:
        """End the read; cancels what still runs on the server. Safe to call twice."""
        ...


@runtime_checkable
class SplittableStream(Protocol):
    """Streams that can leave a part of what they have not begun to somebody else."""

    def split_off(
        self,
        look: Callable[[KeyProbe], list[tuple[str, ...]]],
        commit: Callable[[Span], None],
    ) -> Span | None:
        """Return what is given, which this stream will not read; None where nothing is.

        Callable from any thread.

        Args:
            look: `Session.probe_keys` of a session that nobody else uses.
            commit: Is told what is given before it is; raising keeps everything.
        """
        ...


@runtime_checkable
class PausesBetweenStatements(Protocol):
    """Streams that may read in several statements, with nothing running in between.

    Attributes:
        between: Called before each statement but the first, on the thread that reads.
    """

    between: Callable[[], None]

    @property
    def is_sliced(self) -> bool:
        """Whether the read is several statements."""
        ...


class DescribesRelations(Protocol):
    """Sessions that say what a relation is, without reading its rows."""

    def facts(self, relation: Relation) -> TableFacts:
        """Read what the catalog says of a relation; never scans data.

        Raises:
            SourceQueryError: The relation does not exist or may not be read.
        """
        ...

    def columns(self, relation: Relation, rules: ColumnRules) -> tuple[Column, ...]:
        """Describe a relation's columns under the user's rules, without reading data.

        Raises:
            SourceQueryError: The relation does not exist or the query is not valid.
            UnsafeTypeError: Columns without a mapping, or overrides the engine cannot do; the
                message names all of them.
            PlanError: Two columns share a name, or an override names no column.
        """
        ...


class Counts(Protocol):
    """Sessions that count the rows of a relation."""

    def count(self, relation: Relation, spans: Sequence[Span] = ()) -> int:
        """Count a relation's rows exactly, in this session's snapshot where it has one.

        Args:
            relation: What to count.
            spans: Only rows that all of these hold; empty is every row.

        Raises:
            SourceQueryError: The count could not be read.
        """
        ...


class Reads(DescribesRelations, Counts, Protocol):
    """Sessions that read the rows of a relation."""

    def read(self, request: ReadRequest) -> BatchStream:
        """Stream a relation as record batches; memory is bounded by a batch.

        Raises:
            SourceInterruptedError: The connection dropped; no partial batch was yielded.
            StalePlanError: The relation's columns changed since they were described.
        """
        ...


class AnswersKeyProbes(Protocol):
    """Sessions that say where the values of a key lie: all that cutting and splitting need."""

    def probe_keys(self, question: KeyProbe) -> list[tuple[str, ...]]:
        """Say where the values of a key lie, in this session's snapshot where it has one.

        Returns:
            The engine's own text of every column's value, as `Span` takes it; rows in key order,
            none where no row is there. For `null`, one row where there is such a row.

        Raises:
            PlanError: A column is not there, or its type has no order to cut by.
            SourceQueryError: The source cannot answer.
        """
        ...


class KnowsHorizon(Protocol):
    """Sessions that say which rows transactions that still are open may yet bring."""

    def commit_horizon(self, *, is_zoned: bool) -> Horizon:
        """Return the server's clock, when the oldest open transaction began, and what is not known.

        Taken before a snapshot: a row of that snapshot's future, written by a clock that the server
        sets, is not older. No setting of this session, its role or its client moves it.

        Args:
            is_zoned: The column that is compared holds instants.

        Raises:
            SourceError: The server cannot be asked for its time.
        """
        ...


class HasSnapshots(Protocol):
    """Sessions that stay in one instant over several reads, alone or together with others."""

    def begin(self, relation: Relation, others: Sequence[Self] = ()) -> Position | None:
        """Enter an instant and stay in it for every read until `release`, with other sessions.

        A session that is in an instant already keeps it, and brings the others into it.

        Args:
            relation: What will be read; where the engine can, it is kept from being dropped,
                truncated or altered meanwhile.
            others: Sessions of the same engine and address, in no instant yet; any number where
                `Capabilities.shares_snapshot`, else none.

        Returns:
            The place in the source's history, as `position`.

        Raises:
            SourceQueryError: The sessions cannot be brought into one instant; none is in any.
        """
        ...

    def release(self) -> None:
        """Leave the instant, where one is held; the next read begins another."""
        ...

    @property
    def has_snapshot(self) -> bool:
        """Whether the session still is in the instant of a read, so that a count sees its rows."""
        ...

    def position(self) -> Position | None:
        """Return the place in the source's history this session reads from, if it has one."""
        ...

    def ping(self) -> None:
        """Ask for something small, so that a session which only holds its instant is not ended.

        Raises:
            SourceError: The session does not answer: it is gone, and its instant with it.
        """
        ...


class Session(Reads, AnswersKeyProbes, KnowsHorizon, HasSnapshots, Protocol):
    """One connection with Rivet's settings: UTC, read-only, timeouts; a context manager.

    Whoever needs a part of this asks for that part.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def cancel(self) -> None:
        """Cancel what runs on the server; callable from any thread."""
        ...


class Engine(Protocol):
    """The package of an engine."""

    CAPABILITIES: Capabilities

    def check_address(self, address: SourceAddress) -> None:
        """Refuse an address that cannot be right, without contacting anything.

        Raises:
            ConfigError: The URL or the TLS settings are not valid.
            SourceError: It names a file that is not there or may not be read.
        """
        ...

    def connect(self, address: SourceAddress, settings: SessionSettings) -> Session:
        """Open a session.

        Raises:
            ConfigError: The URL or the TLS settings are not valid.
            SourceAuthError: The database refused the credentials.
            SourceUnavailableError: The database cannot be reached.
        """
        ...
