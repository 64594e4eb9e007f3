"""Adaptive concurrency (backpressure): fewer chunks at a time while the source is under pressure.

A session of its own is asked a small question now and then. It steps down when the server's own
signs of pressure rise, when a replica falls behind, or when the answer itself takes long; it steps
up again while all is calm. Chunks that are being read are not disturbed.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from rivet.errors import SourceError
from rivet.events import ParallelismAdjusted
from rivet.execution.warning import warn
from rivet.sources.abilities import ReportsPressure

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rivet.execution.context import RunContext
    from rivet.execution.progress import RunProgress
    from rivet.execution.snapshot.sessions import SessionPool
    from rivet.sources.abilities import Pressure
    from rivet.sources.base import Session

INTERVAL_VARIABLE: Final = "RIVET_GOVERNOR_INTERVAL_MS"
_INTERVAL_S: Final = 1.5
_SLOW_S: Final = 0.1
_SLOW_FACTOR: Final = 5.0
_LAG_BYTES: Final = 64 * 1024 * 1024
_LAG_S: Final = 10.0
_UNREADABLE_LIMIT: Final = 3
_END_S: Final = 1.0


class Permits:
    """How many chunks may be read at the same time; changed while they wait."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._active = 0
        self._changed = threading.Condition()

    @property
    def active(self) -> int:
        """How many are taken now."""
        return self._active

    def acquire(self, is_over: Callable[[], bool]) -> None:
        """Wait for a permit, or until nobody needs one any more."""
        with self._changed:
            while self._active >= self.allowed and not is_over():
                self._changed.wait(0.1)
            self._active += 1

    def release(self) -> None:
        """Give a permit back."""
        with self._changed:
            self._active -= 1
            self._changed.notify_all()

    def set(self, allowed: int) -> None:
        """Change how many there are; those that are taken stay taken."""
        with self._changed:
            self.allowed = allowed
            self._changed.notify_all()


@dataclass(slots=True)
class PressureJudge:
    """Tells pressure from calm, sample by sample; pure.

    Attributes:
        fastest_s: The quickest answer so far: what the way to the server alone costs.
    """

    fastest_s: float = float("inf")
    _counter: int | None = None

    def reason(self, pressure: Pressure, answer_s: float) -> str | None:
        """Return why to step down after this sample; None while all is calm."""
        before, self._counter = self._counter, pressure.counter
        self.fastest_s = min(self.fastest_s, answer_s)
        if before is not None and pressure.counter > before:
            return f"{pressure.sign}: {pressure.counter - before} more"
        if pressure.lag_bytes is not None and pressure.lag_bytes > _LAG_BYTES:
            return f"a replica is {pressure.lag_bytes // (1024 * 1024)} MB behind"
        if pressure.lag_s is not None and pressure.lag_s > _LAG_S:
            return f"the replica is {pressure.lag_s:.0f} s behind"
        if answer_s > max(_SLOW_S, self.fastest_s * _SLOW_FACTOR):
            return f"a small question took {answer_s * 1000:.0f} ms"
        return None


class Governor:
    """Watches the source while chunks are read, as a context manager.

    Args:
        permits: What it changes.
        least: The fewest chunks at a time.
        sessions: Where it opens a session of its own.
        context: Tells of every step.
        ledger: The run.
        clock: Seconds that only go on, to time an answer by.
    """

    def __init__(
        self,
        permits: Permits,
        least: int,
        sessions: SessionPool,
        context: RunContext,
        ledger: RunProgress,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._permits = permits
        self._most = permits.allowed
        self._least = max(1, min(least, self._most))
        self._sessions = sessions
        self._context = context
        self._ledger = ledger
        self._stopped = threading.Event()
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._watch, name="rivet-governor", daemon=True)
        given = context.env.get(INTERVAL_VARIABLE, "")
        self._interval_s = int(given) / 1000 if given.isdigit() else _INTERVAL_S

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(_END_S)
        if self._thread.is_alive() and self._session is not None:
            self._session.cancel()  # it may wait for a connection that nobody gives
        self._thread.join()

    def _watch(self) -> None:
        judge, unreadable = PressureJudge(), 0
        try:
            with self._sessions.dedicated() as session:
                self._session = session
                if not isinstance(session, ReportsPressure):
                    return
                while not self._stopped.wait(self._interval_s):
                    begun = self._clock()
                    try:
                        pressure = session.pressure()
                    except SourceError:
                        unreadable += 1
                        if unreadable == _UNREADABLE_LIMIT:
                            raise
                        continue
                    unreadable = 0
                    self._step(judge.reason(pressure, self._clock() - begun))
        except SourceError as error:
            text = f"the pressure of the source cannot be read: {error.message}"
            warn(self._context, self._ledger, "governor", text)

    def _step(self, reason: str | None) -> None:
        before = self._permits.allowed
        after = max(before - 1, self._least) if reason else min(before + 1, self._most)
        if after == before:
            return
        self._permits.set(after)
        self._context.emit(
            ParallelismAdjusted(
                self._ledger.export_name,
                run_id=self._ledger.run_id,
                before=before,
                after=after,
                reason=reason or "the source is calm",
            )
        )
