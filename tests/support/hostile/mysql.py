"""What a MySQL server says, packet by packet, and somebody between a real one and its client."""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING

from support.hostile.fake import Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SALT = bytes(range(33, 53))
_TLS, _PLUGIN_AUTH = 1 << 11, 1 << 19
_ABLE = 0xFFFFF7DF & ~_TLS & ~(1 << 24)  # everything but compression, TLS and the short end
QUERY, PREPARE = 0x03, 0x16


def packet(payload: bytes, number: int) -> bytes:
    """Return a packet, or several where one is too small."""
    found = b""
    while len(payload) >= 0xFFFFFF:
        found += b"\xff\xff\xff" + bytes([number & 255]) + payload[:0xFFFFFF]
        payload, number = payload[0xFFFFFF:], number + 1
    return found + struct.pack("<I", len(payload))[:3] + bytes([number & 255]) + payload


def greeting(
    plugin: str = "mysql_native_password", *, has_tls: bool = False, version: str = "8.0.36"
) -> bytes:
    """Return the first packet of a server."""
    able = _ABLE | (_TLS if has_tls else 0)
    return packet(
        b"\x0a" + version.encode() + b"\0" + struct.pack("<I", 7) + SALT[:8] + b"\0"
        + struct.pack("<HBHHB", able & 0xFFFF, 45, 2, able >> 16, 21)
        + bytes(10) + SALT[8:] + b"\0" + plugin.encode() + b"\0",
        0,
    )  # fmt: skip


def ok(number: int, status: int = 2) -> bytes:
    """Return the packet that says all is well."""
    return packet(b"\0\0\0" + struct.pack("<HH", status, 0), number)


def end(number: int) -> bytes:
    """Return the packet behind columns, and behind rows."""
    return packet(b"\xfe\0\0\x02\0", number)


def error(number: int, code: int, text: bytes) -> bytes:
    """Return the packet that says what is wrong."""
    return packet(b"\xff" + struct.pack("<H", code) + b"#42000" + text, number)


def counted(text: bytes) -> bytes:
    """Return a text behind its length."""
    size = len(text)
    if size < 251:
        return bytes([size]) + text
    return b"\xfd" + struct.pack("<I", size)[:3] + text


def column(number: int, name: bytes = b"a", kind: int = 253) -> bytes:
    """Return the definition of a column."""
    parts = b"".join(counted(one) for one in (b"def", b"", b"t", b"t", name, name))
    tail = b"\x0c" + struct.pack("<HIBHB", 45, 1020, kind, 0, 0) + b"\0\0"
    return packet(parts + tail, number)


def switch(plugin: str, salt: bytes = SALT + b"\0", number: int = 2) -> bytes:
    """Return the packet that asks for another method to log in."""
    return packet(b"\xfe" + plugin.encode() + b"\0" + salt, number)


def heard(peer: Peer) -> tuple[int, bytes]:
    """Return the number and the payload of the client's next packet."""
    head = peer.read(4)
    return head[3], peer.read(int.from_bytes(head[:3], "little"))


def endless(make: Callable[[int], bytes], first: int = 1) -> Iterator[bytes]:
    """Yield packets for ever, counted on as the protocol counts."""
    number = first
    while True:
        yield make(number & 255)
        number += 1


class Between:
    """A script that passes on what a real server says, until a statement is to be answered.

    Args:
        port: Of the real server, which is spoken to without TLS.
        is_meant: Told the command and its text; whether `answer` takes over.
        answer: Given the peer, and packets of the real server's answer as they come. What it
            leaves of them is passed on when it returns.
    """

    def __init__(
        self,
        port: int,
        is_meant: Callable[[int, bytes], bool],
        answer: Callable[[Peer, Iterator[bytes]], None],
    ) -> None:
        self._port, self._is_meant, self._answer = port, is_meant, answer

    def __call__(self, peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            while True:
                ready, _, _ = select.select([peer.connection, server], [], [])
                if server in ready:
                    data = server.recv(65536)
                    if not data:
                        return
                    peer.send(data)
                    continue
                number, payload = heard(peer)
                server.sendall(packet(payload, number))
                if number == 0 and payload and self._is_meant(payload[0], payload[1:]):
                    self._answer(peer, _packets(server))


def _packets(server: socket.socket) -> Iterator[bytes]:
    while True:
        head = server.recv(4, socket.MSG_WAITALL)
        size = int.from_bytes(head[:3], "little")
        yield head + (server.recv(size, socket.MSG_WAITALL) if size else b"")
