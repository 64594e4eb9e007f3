"""What a socket has received, as the kernel counts it: whatever TLS or libpq have made of it.

Source:
    tcp(7), `TCP_INFO`; RFC 4898, `tcpEStatsAppHCThruOctetsReceived`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
import termios
import time
from contextlib import suppress
from typing import Final

__all__ = ["peeked", "received_bytes"]
__all__ += ["close_descriptor", "doubled", "pause", "shut_down", "taken_bytes"]

# struct tcp_info of Linux: `tcpi_bytes_received` is there since 4.1.
_OFFSET: Final = 128
_COUNTS: Final = sys.platform == "linux"
_PEEK_BYTES: Final = 4096
_LOOK_S: Final = 0.003


class _Borrowed:
    """A socket by its descriptor, which stays open."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def __enter__(self) -> socket.socket:
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.detach()


def received_bytes(descriptor: int) -> int:
    """Return how many bytes a TCP socket has received; 0 where the system does not tell.

    It does not for sockets of the file system, nor outside Linux.
    """
    if not _COUNTS:
        return 0
    with suppress(OSError), _Borrowed(descriptor) as one:
        told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _OFFSET + 8)
        if len(told) >= _OFFSET + 8:
            return int(struct.unpack_from("=Q", told, _OFFSET)[0])
    return 0


def peeked(descriptor: int) -> bytes:
    """Return what waits to be read, without reading it."""
    with suppress(OSError), _Borrowed(descriptor) as one:
        return one.recv(_PEEK_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return b""


# What `fuse.pxd` offers the compiled fuse, for the interpreted one.


def taken_bytes(descriptor: int) -> int:
    """Return how many bytes a TCP socket has delivered; 0 where the system does not tell."""
    received = received_bytes(descriptor)
    with suppress(OSError):
        return received - int(
            struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]
        )
    return 0


def pause() -> None:
    """Wait for as long as a socket may go unwatched."""
    time.sleep(_LOOK_S)


def doubled(descriptor: int) -> int:
    """Return another descriptor of the same socket; -1 where there is none."""
    with suppress(OSError):
        return os.dup(descriptor)
    return -1


def shut_down(descriptor: int) -> None:
    """End a connection in both directions."""
    with suppress(OSError), _Borrowed(descriptor) as one:
        one.shutdown(socket.SHUT_RDWR)


def close_descriptor(descriptor: int) -> None:
    """Give a descriptor back."""
    os.close(descriptor)
