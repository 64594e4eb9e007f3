"""Line splitting of a byte stream, in bounded memory whatever comes.

Knows nothing of what the lines mean: events are read by `rivet.events.from_line`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["EVENT_LINE_BYTES", "LineSplitter"]

EVENT_LINE_BYTES: Final = 1 << 20


class LineSplitter:
    """Gives whole lines as their blocks arrive; never holds more than one line's limit.

    A line ends with LF or CRLF, which are not part of it. The cost is linear in the bytes fed,
    however they are cut into blocks.

    Attributes:
        dropped: Lines that were longer than the limit; they are dropped whole.
    """

    def __init__(self, limit_bytes: int = EVENT_LINE_BYTES) -> None:
        self.dropped = 0
        self._limit = limit_bytes
        self._pending = bytearray()
        self._is_skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next block and return the lines that it completes, empty ones included."""
        start = data.find(b"\n") + 1
        if start == 0:
            self._hold(data)
            return []
        self._hold(data[: start - 1])
        first = [] if self._is_skipping else self._kept([bytes(self._pending)])
        self._pending.clear()
        self._is_skipping = False
        *whole, rest = data[start:].split(b"\n")
        self._hold(rest)
        return first + self._kept(whole)

    def finish(self) -> list[bytes]:
        """Return the line that was never ended, as a list of one; an empty list without one."""
        rest = bytes(self._pending)
        self._pending.clear()
        self._is_skipping = False
        return self._kept([rest]) if rest else []

    def _hold(self, data: bytes) -> None:
        if self._is_skipping:
            return
        # One byte more than the limit, because it may be the carriage return of a line end.
        if len(self._pending) + len(data) > self._limit + 1:
            self._pending.clear()
            self._is_skipping = True
            self.dropped += 1
            return
        self._pending += data

    def _kept(self, lines: list[bytes]) -> list[bytes]:
        kept = []
        for line in lines:
            text = line.removesuffix(b"\r")
            if len(text) > self._limit:
                self.dropped += 1
            else:
                kept.append(text)
        return kept
