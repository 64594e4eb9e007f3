"""A stopwatch on the statements of one connection.

SQLite has no statement timeout; its progress handler asks this record instead.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STEPS_BETWEEN_LOOKS: Final = 200_000
_ALOUD_S: Final = 1.0


@dataclass(slots=True)
class Watch:
    """Time spent inside the database, one call at a time.

    Attributes:
        path: The database file, for messages.
        timeout_s: The most seconds one call may take; 0 is no limit. Time the reader of a stream
            spends elsewhere does not count.
        lock_wait_s: The most seconds a call waits for a writer; 0 is no limit, for the words.
        on_wait: Told once where a call waits for a writer for longer than a moment.
        longest_s: The longest call so far.
        is_expired: The last call was stopped for taking too long.
    """

    path: Path
    timeout_s: float
    lock_wait_s: float = 0.0
    on_wait: Callable[[str], None] | None = None
    longest_s: float = 0.0
    is_expired: bool = False
    _deadline: float = field(default=float("inf"))

    def attach(self, connection: sqlite3.Connection) -> None:
        """Have the connection ask this watch now and then whether to go on."""
        if self.timeout_s > 0:
            connection.set_progress_handler(self._look, _STEPS_BETWEEN_LOOKS)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time one call into the database."""
        begun = time.monotonic()
        self.is_expired = False
        self._deadline = begun + self.timeout_s
        timer = None if self.on_wait is None else threading.Timer(_ALOUD_S, self._tell_of_lock)
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            self._deadline = float("inf")
            self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def _look(self) -> int:
        self.is_expired = time.monotonic() > self._deadline
        return int(self.is_expired)

    def _tell_of_lock(self) -> None:
        """Say that a writer is waited for, if that is what takes so long."""
        tell, self.on_wait = self.on_wait, None
        if tell is None:
            return
        if not _is_locked(self.path):
            self.on_wait = tell
            return
        limit = f" for up to {self.lock_wait_s:g} s" if self.lock_wait_s else ""
        tell(f"the database {self.path} is locked by a writer: waiting{limit}")


def _is_locked(path: Path) -> bool:
    """Ask for a lock that a reader needs, without waiting for it."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0)) as other:
            other.execute("SELECT count(*) FROM main.sqlite_master").fetchone()
    except sqlite3.Error as error:
        code: int | None = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY
    return False
