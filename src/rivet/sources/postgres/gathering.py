"""Let the kernel of the operating system gather data before it wakes the reader.

A server writes a COPY in pieces of 8 KiB, and a reader that keeps up is woken for each. With a low
water mark on the socket it is woken for a megabyte at once. Measured on the wide benchmark table
with a quarter of that: a twentieth of the context switches and a third of the system time. On
`lineitem` a megabyte halves what is left, which counts where the server shares the processors: with
a quarter, slices took 1.04 times one statement, since their reader is ahead of the server more
often; with a megabyte 1.02 times (76 rounds).

The end of a statement comes below the mark, so whoever knows about how many bytes will come should
wait less for the last of them (`Pump.set_expected`).
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

FLOWING_MS: Final = 10
_MARK_BYTES: Final = 1024 * 1024


class Gathering:
    """The low water mark of one TCP socket; a context manager that always takes it away again.

    Whoever waits for less than the mark would wait for ever, so the mark is only set while data
    flows, each wait is short (`FLOWING_MS`), and the caller reads whatever is there after it.
    Has no effect on other kinds of socket.

    Args:
        descriptor: The socket's file descriptor; stays the caller's.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._socket: socket.socket | None = None
        self.is_flowing = False

    def __enter__(self) -> Self:
        candidate = socket.socket(fileno=os.dup(self._descriptor))
        if candidate.family in {socket.AF_INET, socket.AF_INET6}:
            self._socket = candidate
        else:
            candidate.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            self.set_flowing(is_flowing=False)
            self._socket.close()
            self._socket = None

    def set_flowing(self, *, is_flowing: bool) -> None:
        """Set the mark while data flows, and take it away while the server is silent."""
        if self._socket is None or is_flowing == self.is_flowing:
            return
        mark = _MARK_BYTES if is_flowing else 1
        with suppress(OSError):  # a broken connection is for the read itself to report
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, mark)
            self.is_flowing = is_flowing
