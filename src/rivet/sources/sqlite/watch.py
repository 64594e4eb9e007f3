"""A stopwatch on the statements of one connection.

SQLite has no statement timeout; its progress handler asks this record instead.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_STEPS_BETWEEN_LOOKS: Final = 200_000


@dataclass(slots=True)
class Watch:
    """Time spent inside the database, one call at a time.

    Attributes:
        path: The database file, for messages.
        timeout_s: The most seconds one call may take; 0 is no limit. Time the reader of a stream
            spends elsewhere does not count.
        longest_s: The longest call so far.
        is_expired: The last call was stopped for taking too long.
    """

    path: Path
    timeout_s: float
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
        try:
            yield
        finally:
            self._deadline = float("inf")
            self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def _look(self) -> int:
        self.is_expired = time.monotonic() > self._deadline
        return int(self.is_expired)
