"""An engine without a database: sessions that tell what was asked of them and fail on request."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from rivet.errors import ConnectionLimitError, SourceInterruptedError, SourceQueryError
from rivet.model.source import Position, SessionSettings, SharedSnapshot, SourceAddress
from rivet.sources.abilities import Pressure
from rivet.sources.base import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ADDRESS = SourceAddress("stub")


class FakeClock:
    """Seconds that go on only when they are told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.now_s += seconds


@dataclass
class StubEngine:
    """Opens stub sessions, and counts them as a server would.

    Attributes:
        takes: How many sessions the server takes at the same time.
        enters: Whether a session lets others into its snapshot.
        most: The most sessions that were open at the same time.
        pressures: What its sessions answer when they are asked for their load, in turn.
    """

    rejoins: bool = True
    cancels: bool = False
    shares: bool = True
    takes: int = 100
    enters: bool = True
    pressures: list[Pressure | Exception] = field(default_factory=list)
    sessions: list[StubSession] = field(default_factory=list)
    most: int = 0
    snapshots: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def CAPABILITIES(self) -> Capabilities:  # noqa: N802 - the seam's name
        """What it says of itself."""
        flags = (self.shares, self.rejoins, self.cancels)
        return Capabilities("stub", "Stub", True, None, (), False, *flags)

    @property
    def open(self) -> list[StubSession]:
        """The sessions that the server has."""
        return [one for one in self.sessions if one.is_open and not one.is_lost]

    def connect(self, _address: SourceAddress, settings: SessionSettings) -> StubSession:
        """Open one, or refuse it as a full server does."""
        with self.lock:
            if len(self.open) >= self.takes:
                msg = "too many connections"
                raise ConnectionLimitError(msg)
            session = StubSession(self, settings)
            self.sessions.append(session)
            self.most = max(self.most, len(self.open))
            return session

    def lose_all(self) -> None:
        """Cut every connection, as a server that is restarted does."""
        for session in self.sessions:
            session.is_lost = True


class StubSession:
    """One connection: knows the number of the snapshot it is in."""

    def __init__(self, engine: StubEngine, settings: SessionSettings) -> None:
        self.engine, self.settings = engine, settings
        self.snapshot: int | str | None = None
        self.is_open, self.is_lost = True, False
        self.cancelled = 0
        self.pings = 0
        self.on_pressure: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    def _alive(self) -> None:
        if self.is_lost or not self.is_open:
            msg = "the connection is gone"
            raise SourceInterruptedError(msg)

    def ping(self) -> None:
        """Answer, and count."""
        self._alive()
        self.pings += 1

    def position(self) -> Position:
        """Return a place that never moves."""
        self._alive()
        return Position("stub", "place", "1")

    def begin(self, _relation: Any, others: Sequence[StubSession] = ()) -> Position:
        """Enter a snapshot with others; where they cannot, those that came first stay in it."""
        self._alive()
        if self.snapshot is None:
            self.engine.snapshots += 1
            self.snapshot = self.engine.snapshots
        for other in others:
            other._alive()
            if not self.engine.enters:
                msg = "snapshots are of one session"
                raise SourceQueryError(msg)
            other.snapshot = self.snapshot
        return self.position()

    def export_snapshot(self, _relations: Sequence[Any]) -> SharedSnapshot:
        """Let others in."""
        return SharedSnapshot("token", self.position())

    def import_snapshot(self, _relation: Any, snapshot: SharedSnapshot) -> None:
        """Enter another one's snapshot."""
        self._alive()
        self.snapshot = snapshot.token

    def release(self) -> None:
        """Leave the snapshot."""
        self.snapshot = None

    @property
    def has_snapshot(self) -> bool:
        """Whether it is in one."""
        return self.snapshot is not None

    def pressure(self) -> Pressure:
        """Answer with the next sign of load; calm once there is none."""
        self._alive()
        told = self.engine.pressures.pop(0) if self.engine.pressures else Pressure(0, "load")
        if isinstance(told, Exception):
            raise told
        return told

    def probe_keys(self, _question: Any) -> list[tuple[str, ...]]:
        """Know no key."""
        return []

    def cancel(self) -> None:
        """Count."""
        self.cancelled += 1
