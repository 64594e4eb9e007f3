"""Synchronous close: a connection is closed, and the server has closed its side too.

A server ends a session a moment after its client is gone; until then the session counts against
every limit of connections. A server closes its socket last, so the end of the stream tells.
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK_BYTES: Final = 256 * 1024


@contextmanager
def awaited_end(descriptor: int, limit_s: float) -> Iterator[None]:
    """Close a connection in the body; return once the server has ended it.

    Args:
        descriptor: Of its socket, which the body closes.
        limit_s: The most seconds to wait; 0 waits for nothing.

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
    with kept:
        yield
        _drain(kept, limit_s)


def _drain(kept: socket.socket, limit_s: float) -> None:
    ends_at, target = time.monotonic() + limit_s, bytearray(_BLOCK_BYTES)
    with suppress(OSError):  # a reset is an end too, and a server that is silent is not waited for
        kept.shutdown(socket.SHUT_WR)
        while (left_s := ends_at - time.monotonic()) > 0:
            kept.settimeout(left_s)
            if not kept.recv_into(target):
                return
