"""A folder of one's own for what DuckDB spills: a query may read whatever lies in that folder.

All sessions of a process on one file are one database to DuckDB, with one folder; it is made with
the first of them and removed with the last.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Scratch"]

_LOCK = threading.Lock()
_HELD: dict[tuple[int, Path], Scratch] = {}


@dataclass(slots=True)
class Scratch:
    """The folder of one database file in this process.

    Attributes:
        folder: Nobody else may look into it.
        users: Sessions that are open.
    """

    key: tuple[int, Path]
    folder: Path
    users: int = 0

    @classmethod
    def of(cls, database: Path) -> Scratch:
        """Return the folder of a database file; each must be let go of with `leave`.

        Raises:
            OSError: The system's temporary folder cannot be written.
        """
        # A child that was forked has sessions of its own, and leaves its parent's folder alone.
        key = os.getpid(), database.resolve()
        with _LOCK:
            found = _HELD.get(key)
            if found is None:
                folder = Path(tempfile.mkdtemp(prefix="rivet-duckdb-")).resolve()
                found = _HELD[key] = cls(key, folder)
            found.users += 1
            return found

    def leave(self) -> None:
        """End one use; the last one removes the folder with all that is in it."""
        with _LOCK:
            self.users -= 1
            if self.users > 0 or _HELD.get(self.key) is not self:
                return
            del _HELD[self.key]
            with suppress(OSError):
                shutil.rmtree(self.folder)
