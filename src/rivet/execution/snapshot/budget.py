"""Connection budget: a semaphore over the connections that one export may hold at a time.

An invocation divides `max_connections` among the exports that run side by side before they begin;
each keeps to its share, so that nobody waits for what another one holds (docs/adr/0037).
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import ConnectionLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rivet.model.source import OpenEnd

_LOOK_S: Final = 0.1
_GIVEN_UP: Final = "a statement that was given up"
FEW: Final = 2
"""With so many places all are for reading: none is kept to cancel with or to watch the load."""
END_WAIT_S: Final = 2.0
"""How long the server's end of a session is waited for when the session is closed."""
LINGER_S: Final = 60.0
"""How long it keeps its place after that: it runs a statement that nobody wants any more."""
_TELL_S: Final = 2.0


def shares_of(limit: int, *, concurrent: int, held: int = 0) -> tuple[int, ...]:
    """Return how many connections the exports that run at the same time may hold.

    Args:
        limit: All that the invocation may hold.
        concurrent: How many exports run at the same time.
        held: Connections that the invocation itself holds meanwhile.

    Returns:
        One for each, as even as can be, the larger ones first; none is less than 1.
    """
    count = max(concurrent, 1)
    each, more = divmod(max(limit - held, 0), count)
    return tuple(max(each + (number < more), 1) for number in range(count))


class ConnectionShares:
    """Lends each export that begins the largest share that is free; safe from any thread.

    Args:
        limit: All that the invocation may hold; None without a limit.
        concurrent: How many exports run at the same time.
        held: Connections that the invocation itself holds meanwhile.
    """

    def __init__(self, limit: int | None, *, concurrent: int, held: int = 0) -> None:
        shares = () if limit is None else shares_of(limit, concurrent=concurrent, held=held)
        self._has_limit = limit is not None
        self._free = list(shares)
        self._lent: dict[str, int] = {}
        self._lock = threading.Lock()

    def acquire(self, export_name: str) -> int | None:
        """Return the share of an export that begins; None without a limit."""
        if not self._has_limit:
            return None
        with self._lock:
            share = max(self._free, default=1)
            if self._free:
                self._free.remove(share)
                self._lent[export_name] = share
            return share

    def release(self, export_name: str) -> None:
        """Take back the share of an export that is over, if it had one."""
        with self._lock:
            if export_name in self._lent:
                self._free.append(self._lent.pop(export_name))


class ConnectionBudget:
    """Counts the connections of one export; safe from any thread.

    Attributes:
        limit: The most at a time; None counts nothing.
        most: The most that were held at a time.

    Args:
        limit: As above.
        linger_s: How long an end that has not come keeps its place.
    """

    def __init__(self, limit: int | None = None, *, linger_s: float = LINGER_S) -> None:
        self.limit = limit
        self.most = 0
        self._held = 0
        self._linger_s = linger_s
        self._ends: dict[OpenEnd, float] = {}
        self._changed = threading.Condition()

    @property
    def left(self) -> int | None:
        """How many more may be opened now; None without a limit."""
        return None if self.limit is None else self.limit - self._held

    def acquire(
        self,
        wait_s: float = 0.0,
        is_stopped: Callable[[], bool] = lambda: False,
        *,
        for_ends: bool = False,
    ) -> None:
        """Take a place, which somebody has to give up where there is none left.

        Args:
            wait_s: How long that is waited for.
            is_stopped: Nobody wants it any more.
            for_ends: Wait longer where the server has not ended a session that was closed.

        Raises:
            ConnectionLimitError: None was given up in time, or a stop was asked for.
        """
        ends_at = time.monotonic() + wait_s
        with self._changed:
            while self.limit is not None and self._held >= self.limit:
                if self._reap():
                    continue
                if for_ends:
                    ends_at = max(ends_at, *self._ends.values(), 0.0)
                if is_stopped() or time.monotonic() >= ends_at:
                    number = f"all {self.limit}" if self.limit > 1 else "the one"
                    msg = f"{number} of the connections that `max_connections` leaves are in use"
                    raise ConnectionLimitError(msg, hint="raise `max_connections`")
                self._changed.wait(_LOOK_S)
            self._held += 1
            self.most = max(self.most, self._held)

    def release(self) -> None:
        """Give a place up, once the server has ended what was there."""
        with self._changed:
            self._held -= 1
            self._changed.notify()

    def keep(self, end: OpenEnd) -> None:
        """Have a session that the server has not ended keep a place beside that of its owner.

        The owner gives its own one up.
        """
        with self._changed:
            self._held += 1
            self._ends[end] = time.monotonic() + self._linger_s

    def _reap(self) -> int:
        """Take back the places of ends that have come; return how many."""
        over = [end for end in self._ends if end.is_over()]
        for end in over:
            end.close()
            del self._ends[end]
        self._held -= len(over)
        return len(over)

    def await_ends(self, is_stopped: Callable[[], bool], on_wait: Callable[[str], None]) -> None:
        """Wait until the server has ended what was left to it, but not for ever.

        Args:
            is_stopped: Somebody is in a hurry; nothing is waited for.
            on_wait: Told what is waited for, once that takes long, and what did not come.
        """
        tell_at = time.monotonic() + _TELL_S
        while True:
            with self._changed:
                self._reap()
                if not self._ends:
                    return
                now = time.monotonic()
                if is_stopped() or now >= max(self._ends.values()):
                    break
                self._changed.wait(_LOOK_S)
            if now >= tell_at:
                tell_at = math.inf
                on_wait(
                    f"waiting for the server to end {_GIVEN_UP}, as `max_connections` counts it"
                )
        with self._changed:
            left, self._ends = self._ends, {}
            self._held -= len(left)
        for end in left:
            end.close()
        if not is_stopped():
            text = f"the server still runs {_GIVEN_UP}"
            on_wait(f"{text}: until then it shows one connection more than `max_connections`")

    @contextmanager
    def beside(self) -> Iterator[bool]:
        """Take a place for a moment, such as to cancel a statement; yield whether there is one.

        It is waited for only where one was kept for that: else whoever has one keeps it.
        """
        is_kept = self.limit is None or self.limit > FEW
        try:
            self.acquire(END_WAIT_S / 2 if is_kept else 0.0)
        except ConnectionLimitError:
            yield False
            return
        try:
            yield True
        finally:
            self.release()
