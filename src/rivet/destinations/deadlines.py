"""Deadlines of calls that may hang: made in order on a daemon thread, waited for within a limit.

A call that hangs cannot be ended. Its thread is left behind: it keeps no process alive, and when
the call comes back after all it takes back what the call did (docs/adr/0041).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from rivet.errors import DestinationTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_POLL_S: Final = 0.1
_LINGER_S: Final = 1.0
_GRACE_S: Final = 1.0
_HINT: Final = "check the disk or the mount; raise `destination.timeout_s` if it is only slow"


def never() -> bool:
    """Return False: nobody asked to stop."""
    return False


def nothing() -> None:
    """Do nothing."""


@dataclass(slots=True)
class CallLimits:
    """How long the calls of one destination are waited for.

    Attributes:
        timeout_s: The most seconds one call may take; None is no limit.
        interrupted: Whether somebody asked to stop: calls are then waited for a second longer.
        has_hung: A call was left behind, or the wait for it was cut short; what cleans up is then
            waited for a second.
    """

    timeout_s: float | None = None
    interrupted: Callable[[], bool] = never
    has_hung: bool = False


class Call(Generic[T]):
    """One call on its way through a `CallQueue`.

    Args:
        doing: What it does and to what, as in `writing a.parquet`.
        make: The call.
        size: Bytes it holds until it is made.
        undo: Takes back what it did, where it comes back after nobody waited any more.
    """

    __slots__ = (
        "begun_at",
        "doing",
        "error",
        "is_done",
        "is_left",
        "make",
        "result",
        "size",
        "undo",
    )

    def __init__(
        self,
        doing: str,
        make: Callable[[], T],
        *,
        size: int = 0,
        undo: Callable[[T], object] | None = None,
    ) -> None:
        self.doing = doing
        self.make: Callable[[], T] | None = make
        self.size = size
        self.undo = undo
        self.begun_at = 0.0
        self.is_done = False
        self.is_left = False
        self.result: T | None = None
        self.error: BaseException | None = None


class CallQueue:
    """Makes calls one after the other on a thread of its own, which ends once it is idle.

    Args:
        limits: Of the destination whose calls these are.
        place: That destination, for messages.
        max_bytes: What may wait, in `wait_for_room`.
        at_return: Called on the thread once a call that was left behind has come back.

    Attributes:
        max_bytes: As given; may be changed at any time.
    """

    def __init__(
        self,
        limits: CallLimits,
        *,
        place: str,
        max_bytes: int = 0,
        at_return: Callable[[], None] = nothing,
    ) -> None:
        self._limits = limits
        self._place = place
        self.max_bytes = max_bytes
        self._at_return = at_return
        self._changed = threading.Condition()
        self._waiting: deque[Call[Any]] = deque()
        self._running: Call[Any] | None = None
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._is_finishing = False
        self._left: DestinationTimeoutError | None = None

    @property
    def is_left(self) -> bool:
        """Whether its thread was left behind; it makes no more calls."""
        return self._left is not None

    @property
    def is_idle(self) -> bool:
        """Whether no call is being made or waits."""
        return self._running is None and not self._waiting

    def put(self, call: Call[T], *, is_urgent: bool = False) -> Call[T]:
        """Have a call made after those that wait, or before them.

        Raises:
            DestinationTimeoutError: The thread hangs in another call.
        """
        with self._changed:
            if self._left is not None:
                raise self._left
            if is_urgent:
                self._waiting.appendleft(call)
            else:
                self._waiting.append(call)
            self._bytes += call.size
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="rivet-upload", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return call

    def wait_for_room(self, size: int) -> None:
        """Wait until so many bytes may wait as well; more than ever may are let in alone.

        Raises:
            DestinationTimeoutError: The call that is being made hangs.
            KeyboardInterrupt: Somebody asked to stop.
        """
        if not self._wait(lambda: not self._bytes or self._bytes + size <= self.max_bytes):
            raise KeyboardInterrupt

    def result(self, call: Call[T]) -> T:
        """Wait for a call's end.

        Raises:
            DestinationTimeoutError: It, or one before it, hangs.
            KeyboardInterrupt: Somebody asked to stop.
            BaseException: What the call raised.
        """
        try:
            is_over = self._wait(lambda: call.is_done)
        except BaseException:
            with self._changed:
                call.is_left = True
            raise
        if not is_over:
            with self._changed:
                call.is_left = True
            raise KeyboardInterrupt
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value] # it is done, and None only where T is

    def finish(self) -> None:
        """Wait for all calls within the limits; leave the thread behind where one hangs."""
        is_over = False
        with self._changed:
            self._is_finishing = True
            self._changed.notify_all()
        try:
            is_over = self._wait(lambda: self.is_idle, is_cleanup=True)
        except DestinationTimeoutError:
            return
        finally:
            if not is_over:
                self._leave()

    def _wait(self, is_over: Callable[[], bool], *, is_cleanup: bool = False) -> bool:
        """Wait; False where it is to be brief and a second was not enough."""
        try:
            return self._is_over_in_time(is_over, is_cleanup=is_cleanup)
        except (KeyboardInterrupt, SystemExit):
            self._limits.has_hung = True
            raise

    def _is_over_in_time(self, is_over: Callable[[], bool], *, is_cleanup: bool) -> bool:
        limits, asked_at = self._limits, None
        # A second once: who asked to stop has waited for another call already.
        grace_s = 0.0 if limits.has_hung and limits.interrupted() else _GRACE_S
        while True:
            with self._changed:
                if is_over():
                    return True
                self._changed.wait(_POLL_S)
                if is_over():
                    return True
            now = time.monotonic()
            self._leave_hung(now)
            if self._left is not None:
                raise self._left
            if limits.interrupted() or (is_cleanup and limits.has_hung):
                asked_at = now if asked_at is None else asked_at
                if now - asked_at >= grace_s:
                    return False

    def _leave_hung(self, now: float) -> None:
        running, limit = self._running, self._limits.timeout_s
        if running is not None and limit is not None and now - running.begun_at >= limit:
            self._leave(f"{running.doing} took longer than {limit:g} s")

    def _leave(self, why: str = "it was given up") -> None:
        with self._changed:
            if self._left is not None:
                return
            self._left = DestinationTimeoutError(f"{self._place}: {why}", hint=_HINT)
            self._is_finishing = True
            self._limits.has_hung = True
            for call in self._waiting:
                call.error, call.is_done, call.make = self._left, True, None
            self._waiting.clear()
            if self._running is not None:
                self._running.is_left = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            try:
                call.result = call.make() if call.make is not None else None
            except BaseException as error:  # noqa: BLE001 - raised again in who waits
                call.error = error
            self._ended(call)
        if self._left is not None:
            with suppress(Exception):
                self._at_return()

    def _next(self) -> Call[Any] | None:
        with self._changed:
            while not self._waiting:
                is_woken = not self._is_finishing and self._changed.wait(_LINGER_S)
                if not is_woken and not self._waiting:
                    self._thread = None
                    return None
            self._running = self._waiting.popleft()
            self._running.begun_at = time.monotonic()
            return self._running

    def _ended(self, call: Call[Any]) -> None:
        call.make = None  # the bytes that it held
        with self._changed:
            self._running = None
            self._bytes -= call.size
            call.is_done = True
            is_left = call.is_left
            self._changed.notify_all()
        if is_left and call.error is None and call.undo is not None:
            with suppress(Exception):
                call.undo(call.result)
