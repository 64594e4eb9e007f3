"""Optional abilities of sessions: callers ask for each by `isinstance`; see `sources/base.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.relation import Relation
    from rivet.model.source import SharedSnapshot


@runtime_checkable
class ReportsVersion(Protocol):
    """Sessions that can name their server."""

    def server_version(self) -> str:
        """Return the server's name and version, such as `PostgreSQL 16.4`."""
        ...


@runtime_checkable
class ExportsSnapshots(Protocol):
    """Sessions whose instant the sessions of other processes can enter."""

    def export_snapshot(self, relations: Sequence[Relation]) -> SharedSnapshot:
        """Enter an instant, keep what will be read from being dropped, and let others in.

        A relation that is not there is left out: whoever reads it says so.

        Raises:
            SourceError: The source refuses, or something is locked for too long.
        """
        ...

    def import_snapshot(self, relation: Relation, snapshot: SharedSnapshot) -> None:
        """Enter the instant of another session, and stay in it until `release`.

        Raises:
            SourceError: It is over, or the relation is locked by somebody who waits for its end.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pressure:
    """What a server shows of its load.

    Attributes:
        counter: Rises while the server is pressed.
        sign: What it counts, for people.
        lag_bytes: How far the replica that is farthest behind is, in log; None where unknown.
        lag_s: How far this server itself is behind its primary, in seconds; None for a primary.
    """

    counter: int
    sign: str
    lag_bytes: int | None = None
    lag_s: float | None = None


@runtime_checkable
class ReportsPressure(Protocol):
    """Sessions that can tell how much their server has to bear."""

    def pressure(self) -> Pressure:
        """Return the signs of pressure, as of now.

        Raises:
            SourceError: The server cannot be asked.
        """
        ...


@runtime_checkable
class ReportsImpact(Protocol):
    """Sessions that can tell what a server has done so far, to compare before and after a run."""

    def server_impact(self) -> dict[str, int]:
        """Return counters of the server by name, over everybody's work.

        Raises:
            SourceError: The server cannot be asked.
        """
        ...


@runtime_checkable
class NoticesProxies(Protocol):
    """Sessions that can tell whether something stands between them and their server."""

    def proxy_note(self) -> str | None:
        """Return what the user should know of it, such as what it does to snapshots; or None."""
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """Sessions whose connection a pooler may lend to others between transactions."""

    def occupy(self, wait_s: float) -> None:
        """Make sure of a connection until the next question or read has used it, or `release`.

        Raises:
            SourceUnavailableError: None became free within that many seconds; the session is over.
        """
        ...


@runtime_checkable
class EstimatesSizes(Protocol):
    """Sessions that can tell at once, and roughly, how large tables are: to begin with the largest.

    It costs about one round trip whatever the number of tables, scans nothing and waits for
    nobody's lock.
    """

    def estimates(self, relations: Sequence[Relation]) -> tuple[int | None, ...]:
        """Return a size per relation, to be compared with one another only.

        Returns:
            In the order given, in one unit per engine (bytes or rows), never negative; None for
            queries, for tables that are not there, and where nothing is known.

        Raises:
            SourceError: The source cannot be asked.
        """
        ...


@runtime_checkable
class CountsConnections(Protocol):
    """Sessions that can tell how many more of their kind the server would take."""

    def free_connections(self) -> int:
        """Return the number, as of now; others may take them.

        Raises:
            SourceError: The server cannot be asked.
        """
        ...

    def free_connections_of_user(self) -> int | None:
        """Return how many the limits of the user and the database leave; None without a limit.

        Raises:
            SourceError: The server cannot be asked.
        """
        ...


@runtime_checkable
class ProvesInstants(Protocol):
    """Sessions that can tell whether all that is read in an instant is of that instant.

    Sessions of other engines see one file, and so one instant.
    """

    def unproven(self, relation: Relation) -> str | None:
        """Return why reads of a relation may not be of one instant; None where they are.

        Asked after `begin`, where the session has begun.

        Raises:
            SourceError: The source cannot be asked.
        """
        ...


@runtime_checkable
class TellsSettings(Protocol):
    """Sessions whose settings may give a user's SQL another meaning than the server's own."""

    def settings_note(self, relation: Relation) -> str | None:
        """Return what a relation means otherwise than to other clients, by name; or None.

        Raises:
            SourceError: The source cannot be asked whether it is a view.
        """
        ...
