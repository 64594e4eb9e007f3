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
