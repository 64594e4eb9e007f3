"""What a hostile PostgreSQL says: its messages, a login by script, a proxy that alters answers.

Source:
    PostgreSQL manual, "Message Formats".
"""

from __future__ import annotations

import base64
import itertools
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.hostile.fake import Peer

SALT = b"\x01\x02\x03\x04"
OK = 0
CLEARTEXT = 3
MD5 = 5
GSS = 7
SASL = 10
SASL_CONTINUE = 11
SASL_FINAL = 12
PLENTY = 2**31 - 1


def message(kind: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    """Return a message; `size` is a length to announce that is not its own."""
    return kind + struct.pack("!I", len(body) + 4 if size is None else size & 0xFFFFFFFF) + body


def authentication(code: int, body: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!I", code) + body)


def parameter(name: str, value: str) -> bytes:
    return message(b"S", f"{name}\0{value}\0".encode())


def notice(text: str = "look here") -> bytes:
    return message(b"N", f"SNOTICE\0C00000\0M{text}\0\0".encode())


def error(text: str, state: str = "XX000") -> bytes:
    return message(b"E", f"SFATAL\0VFATAL\0C{state}\0M{text}\0\0".encode())


READY = message(b"Z", b"I")
KEY = message(b"K", struct.pack("!II", 1, 2))
GREETING = parameter("server_version", "16.1") + parameter("client_encoding", "UTF8") + KEY + READY


def notices() -> Iterator[bytes]:
    return itertools.repeat(notice("x" * 200))


def parameters() -> Iterator[bytes]:
    return (parameter(f"name{number}", "v" * 200) for number in itertools.count())


def started(peer: Peer, tls: bytes = b"N") -> None:
    """Answer the request for TLS, if there is one, and take the startup message."""
    head = peer.read(8)
    if head[4:] == b"\x04\xd2\x16\x2f":
        peer.send(tls)
        head = peer.read(8)
    peer.read(int.from_bytes(head[:4]) - 8)


def answer(peer: Peer) -> bytes:
    """Return one message of the client."""
    head = peer.read(5)
    return peer.read(int.from_bytes(head[1:]) - 4)


def scram_first(peer: Peer, iterations: int | str = 4096, nonce: bytes = b"more") -> None:
    """Ask for SCRAM and send the server's first message."""
    started(peer)
    peer.send(authentication(SASL, b"SCRAM-SHA-256\0\0"))
    own = answer(peer).rpartition(b"r=")[2]
    salt = base64.b64encode(b"salt" * 4)
    body = b"r=%s%s,s=%s,i=%s" % (own, nonce, salt, str(iterations).encode())
    peer.send(authentication(SASL_CONTINUE, body))


class Altering:
    """Stands between a client and a real server without TLS, and alters answers to a statement.

    Args:
        port: Of the real server.
        is_wanted: Whether the answers to a statement are altered.
        alter: Gets the peer and the messages of that answer, and sends what it likes.
    """

    def __init__(
        self,
        port: int,
        is_wanted: Callable[[bytes], bool],
        alter: Callable[[Peer, Iterator[bytes]], None],
    ) -> None:
        self._port = port
        self._is_wanted = is_wanted
        self._alter = alter

    def __call__(self, peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            head = peer.read(8)
            if head[4:] == b"\x04\xd2\x16\x2f":
                peer.send(b"N")
                head = peer.read(8)
            server.sendall(head + peer.read(int.from_bytes(head[:4]) - 8))
            wanted = threading.Event()
            forward = threading.Thread(target=self._forward, args=(peer, server, wanted))
            forward.daemon = True
            forward.start()
            answers = _messages(server)
            for one in answers:
                if wanted.is_set():
                    wanted.clear()
                    self._alter(peer, itertools.chain([one], answers))
                else:
                    peer.send(one)

    def _forward(self, peer: Peer, server: socket.socket, wanted: threading.Event) -> None:
        with suppress(OSError):
            while True:
                head = peer.read(5)
                body = peer.read(int.from_bytes(head[1:]) - 4)
                if head[:1] in b"QP" and self._is_wanted(body):
                    wanted.set()
                server.sendall(head + body)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _messages(server: socket.socket) -> Iterator[bytes]:
    """Yield what a server sends, message by message."""
    with server.makefile("rb") as stream:
        while len(head := stream.read(5)) == 5:
            yield head + stream.read(int.from_bytes(head[1:]) - 4)
