"""Write lines for readers that are no terminal: whole lines, from any thread."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TextIO


class Lines:
    """A stream that takes whole lines; one whose reader went away takes them silently."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        """Write one line and flush. Blocks while the reader is slow."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()
