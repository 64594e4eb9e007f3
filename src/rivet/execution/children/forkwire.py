"""Wire protocol of the fork server: one JSON message each, with file descriptors.

They travel over a SOCK_SEQPACKET pair, where a message arrives whole or not at all and its
descriptors come with it. A document too large for a packet (an environment may be) is put into a
file in memory, whose descriptor goes first.
"""

from __future__ import annotations

import array
import errno
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ENTRY", "DisconnectedError", "Message", "open_pair", "receive", "send"]

ENTRY: Final = ("-P", "-m", "rivet")
"""What stands between program and arguments in a command that can be forked."""

Message = dict[str, Any]

_LARGEST_PACKET_BYTES: Final = 16 * 1024
_MOST_DESCRIPTORS: Final = 253  # what the kernel lets one message carry
_IN_PACKET: Final = b"p"
_IN_FILE: Final = b"f"


class DisconnectedError(Exception):
    """The other side is gone. Not for users: each side knows what it means there."""


def open_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new connection, neither inheritable."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message and copies of these descriptors.

    Raises:
        DisconnectedError: The other side is gone.
        BlockingIOError: A connection that does not wait is full; nothing was sent.
        TimeoutError: The connection's time limit passed; nothing was sent.
        OSError: There are too many descriptors, for this process or for one message.
    """
    if len(descriptors) + 1 > _MOST_DESCRIPTORS:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    body = json.dumps(message).encode("ascii")
    try:
        if len(body) <= _LARGEST_PACKET_BYTES:
            socket.send_fds(connection, [_IN_PACKET, body], descriptors)
            return
        file = os.memfd_create("rivet-message")
        try:
            with os.fdopen(file, "wb", closefd=False) as stream:
                stream.write(body)
            socket.send_fds(connection, [_IN_FILE], [file, *descriptors])
        finally:
            os.close(file)
    except ConnectionError as error:
        raise DisconnectedError from error


def receive(connection: socket.socket) -> tuple[Message, list[int]]:
    """Return the next message and its descriptors, which are the caller's and not inheritable.

    Fewer descriptors than were sent arrive where this process may not open so many.

    Raises:
        DisconnectedError: The other side is gone.
        BlockingIOError: A connection that does not wait has nothing now.
        TimeoutError: The connection's time limit passed.
        OSError: The message came in a file, and this process may not open one more.
    """
    descriptors = array.array("i")
    room = socket.CMSG_LEN(_MOST_DESCRIPTORS * descriptors.itemsize)
    try:  # `socket.recv_fds` takes flags and drops them
        packet, attached, _, _ = connection.recvmsg(
            _LARGEST_PACKET_BYTES + 1, room, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError as error:
        raise DisconnectedError from error
    if not packet:
        raise DisconnectedError
    for level, kind, data in attached:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if packet[:1] == _IN_PACKET:
        return json.loads(packet[1:]), list(descriptors)
    if not descriptors:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with os.fdopen(descriptors[0], "rb") as stream:
        stream.seek(0)  # the sender's offset, which is at the end, came along
        return json.load(stream), list(descriptors[1:])
