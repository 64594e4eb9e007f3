"""A terminal as the painter sees it: a size now, and one write per frame."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import Final, TextIO

_FALLBACK: Final = os.terminal_size((80, 24))
_RETRY_S: Final = 0.1


class Terminal:
    """Writes to the terminal behind a stream, past the stream's own buffer.

    A terminal that is gone is not an error: it takes nothing more.
    """

    def __init__(self, stream: TextIO, encoding: str) -> None:
        self._encoding = encoding
        self.is_gone = False
        try:
            stream.flush()
            self._descriptor = stream.fileno()
        except (OSError, ValueError):
            self.is_gone = True

    def size(self) -> os.terminal_size:
        """Return columns and lines of this moment."""
        with suppress(OSError, ValueError):
            size = os.get_terminal_size(self._descriptor)
            if size.columns > 0 and size.lines > 0:
                return size
        return _FALLBACK

    def write(self, text: str) -> None:
        """Write a frame, in one call where the terminal takes it; blocks while it is stopped."""
        data = memoryview(text.encode(self._encoding, "backslashreplace"))
        while data and not self.is_gone:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # somebody made the descriptor non-blocking
                select.select([], [self._descriptor], [], _RETRY_S)
            except OSError:
                self.is_gone = True

    def abandon(self) -> None:
        """Write nothing more; a write that hangs is left to itself."""
        self.is_gone = True
