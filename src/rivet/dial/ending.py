"""Synchronous close: a connection is closed, and the server has closed its side too.

A server ends a session a moment after its client is gone; until then the session counts against
every limit of connections. A server closes its socket last, so the end of the stream tells.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK_BYTES: Final = 256 * 1024
_BLOCKS_AT_ONCE: Final = 64


class OpenEnd:
    """The server's end of a connection that is closed here and that the server has not ended.

    It runs a statement to its end, or until it next sends something.

    Args:
        kept: The socket; owned from here on.
    """

    def __init__(self, kept: socket.socket) -> None:
        kept.setblocking(False)  # noqa: FBT003 - the standard library's
        self._kept = kept

    def is_over(self) -> bool:
        """Whether the server has ended it by now; what it still sends is dropped."""
        target = bytearray(_BLOCK_BYTES)
        try:
            for _ in range(_BLOCKS_AT_ONCE):
                if not self._kept.recv_into(target):
                    return True
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    def close(self) -> None:
        """Wait for it no longer. Safe to call twice."""
        self._kept.close()


@contextmanager
def awaited_end(
    descriptor: int, limit_s: float, keep: Callable[[OpenEnd], None] | None = None
) -> Iterator[None]:
    """Close a connection in the body; return once the server has ended it.

    Args:
        descriptor: Of its socket, which the body closes.
        limit_s: The most seconds to wait; 0 waits for nothing.
        keep: Given an end that did not come within them.

    Source:
        PostgreSQL, `socket_close` in pqcomm.c: the socket stays open until the process is gone, so
        that clients can wait for that.
    """
    if limit_s <= 0 or descriptor < 0:
        yield
        return
    try:
        # The family is of no matter to whoever reads only.
        kept = socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(kept)
        yield
        if not _ends(kept, limit_s) and keep is not None:
            stack.pop_all()
            keep(OpenEnd(kept))


def _ends(kept: socket.socket, limit_s: float) -> bool:
    ends_at, target = time.monotonic() + limit_s, bytearray(_BLOCK_BYTES)
    with suppress(OSError):  # a reset is an end too
        kept.shutdown(socket.SHUT_WR)
        while (left_s := ends_at - time.monotonic()) > 0:
            kept.settimeout(left_s)
            try:
                if not kept.recv_into(target):
                    return True
            except TimeoutError:
                return False
        return False
    return True
