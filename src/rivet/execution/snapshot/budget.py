"""Connection budget: a semaphore over the connections that one export may hold at a time.

An invocation divides `max_connections` among the exports that run side by side before they begin;
each keeps to its share, so that nobody waits for what another one holds (docs/adr/0037).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import ConnectionLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_S: Final = 0.1
FEW: Final = 2
"""With so many places all are for reading: none is kept to cancel with or to watch the load."""
END_WAIT_S: Final = 2.0
"""How long the server's end of a session is waited for before its place is given to another."""


def share_of(limit: int | None, *, concurrent: int, held: int = 0) -> int | None:
    """Return how many connections each of the exports that run at the same time may hold.

    Args:
        limit: All that the invocation may hold; None without a limit.
        concurrent: How many exports run at the same time.
        held: Connections that the invocation itself holds meanwhile.

    Returns:
        At least 1; None without a limit.
    """
    return None if limit is None else max((limit - held) // max(concurrent, 1), 1)


class ConnectionBudget:
    """Counts the connections of one export; safe from any thread.

    Attributes:
        limit: The most at a time; None counts nothing.
        most: The most that were held at a time.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.most = 0
        self._held = 0
        self._changed = threading.Condition()

    @property
    def left(self) -> int | None:
        """How many more may be opened now; None without a limit."""
        return None if self.limit is None else self.limit - self._held

    def acquire(self, wait_s: float = 0.0, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Take a place, which somebody has to give up where there is none left.

        Raises:
            ConnectionLimitError: None was given up in time, or a stop was asked for.
        """
        ends_at = time.monotonic() + wait_s
        with self._changed:
            while self.limit is not None and self._held >= self.limit:
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
