"""A fuse in a TCP connection: it ends one that delivers more than may come, while libpq reads.

libpq reads a message until its socket is empty or the message is whole. A server that announces a
gigabyte and sends it faster than it is read would fill that much memory within one call. So the
bytes are counted from outside, by a thread that never needs the interpreter's lock.

Source:
    tcp(7), `TCP_INFO`; RFC 4898, `tcpEStatsAppHCThruOctetsReceived`; ioctl `FIONREAD`.
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.rivet.wire.fuse import (
        close_descriptor,
        doubled,
        pause,
        shut_down,
        taken_bytes,
    )
else:
    from rivet.wire.received import close_descriptor, doubled, pause, shut_down, taken_bytes

__all__ = ["Fuse"]


@cython.cclass
class Fuse:
    """Counts what was read from a socket, and shuts it down above a ceiling.

    Where the system does not count (`taken_bytes` is 0) it never blows.

    Args:
        descriptor: The socket; stays the caller's, and may be closed before the fuse.
    """

    def __init__(self, descriptor: cython.int) -> None:
        self._descriptor = doubled(descriptor)
        self._ceiling = 0
        self._is_over = False
        self._is_blown = False

    def __dealloc__(self) -> None:
        if cython.compiled and self._descriptor >= 0:
            close_descriptor(self._descriptor)

    @property
    def is_blown(self) -> bool:
        """Whether it ended the connection."""
        return self._is_blown

    def allow(self, ceiling: cython.longlong) -> None:
        """Set how many bytes the socket may have delivered in all; 0 is no limit."""
        self._ceiling = ceiling

    def end(self) -> None:
        """Let `burn` return soon."""
        self._is_over = True

    def burn(self) -> None:
        """Look after the socket until it is over, or too much came; for a thread of its own."""
        if self._descriptor < 0:
            return
        with cython.nogil:
            self._burn()
        close_descriptor(self._descriptor)
        self._descriptor = -1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _burn(self) -> cython.int:
        while not self._is_over:
            if 0 < self._ceiling < taken_bytes(self._descriptor):
                self._is_blown = True
                shut_down(self._descriptor)
                return 1
            pause()
        return 0
