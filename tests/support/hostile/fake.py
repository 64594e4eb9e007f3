"""A server that does what a script says: plain sockets, one thread for each connection.

def script(peer):
    peer.send(GREETING)
    peer.read(4)
    peer.drip(b"...")

with FakeServer(script) as server:
    connect(server.port)
    assert_kept(server.received, "s3cret")
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_BLOCK_BYTES = 65536
_LONGEST_S = 60.0


class Peer:
    """One connection as the server has it; every method ends with `OSError` once the client left.

    Attributes:
        number: 1 for the first connection of the server.
        heard: What the client sent, without its protection.
        connection: The socket.
    """

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.number = number
        self.heard = bytearray()
        self.connection = connection
        connection.settimeout(_LONGEST_S)

    def send(self, *pieces: bytes) -> None:
        """Send pieces one after the other."""
        for piece in pieces:
            self.connection.sendall(piece)

    def flood(self, pieces: Iterable[bytes]) -> None:
        """Send pieces as long as there are any, gathered into blocks."""
        block = bytearray()
        for piece in pieces:
            block += piece
            if len(block) >= _BLOCK_BYTES:
                self.connection.sendall(block)
                block.clear()
        self.connection.sendall(block)

    def drip(self, data: bytes, pause_s: float = 0.3) -> None:
        """Send one byte at a time, and then nothing."""
        for value in data:
            self.connection.sendall(bytes([value]))
            time.sleep(pause_s)
        self.wait()

    def read(self, size: int) -> bytes:
        """Return so many bytes of the client."""
        found = b""
        while len(found) < size:
            piece = self.connection.recv(size - len(found))
            if not piece:
                raise ConnectionAbortedError
            self.heard += piece
            found += piece
        return found

    def wait(self) -> None:
        """Say nothing until the client leaves."""
        while True:
            self.read(1)

    def protect(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self.connection = context.wrap_socket(self.connection, server_side=True)

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class FakeServer:
    """Listens on a free port of 127.0.0.1 and runs a script for each connection.

    A script that returns hangs up; one that raises `OSError` has lost its client. Any other error
    is a fault of the test, and is raised at the end of the block.

    Args:
        script: What the server does.
        path: Of a local socket to listen on, instead of a port.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, script: Callable[[Peer], None], path: Path | None = None) -> None:
        self._script = script
        self._peers: list[Peer] = []
        self._errors: list[BaseException] = []
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            self._listener = socket.create_server(str(path), family=socket.AF_UNIX)
        self.port: int = self._listener.getsockname()[1] if path is None else 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def received(self) -> list[bytes]:
        """What each connection's client sent, in the order in which they came."""
        return [bytes(peer.heard) for peer in self._peers]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            peer.close()
        if self._errors and kind is None:
            raise self._errors[0]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(connection, len(self._peers) + 1)
            self._peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: Peer) -> None:
        try:
            self._script(peer)
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the test is
            self._errors.append(error)
        finally:
            peer.close()


def forms_of(password: str) -> Iterator[bytes]:
    """Yield the ways in which bytes can hold a password that anybody reads back."""
    plain = password.encode()
    yield plain
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        yield password.encode(encoding)
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for shift in range(3):
        # Without the characters that hold bits of what stands before or behind it.
        whole = base64.b64encode(bytes(shift) + plain).rstrip(b"=")
        yield whole[(0, 2, 3)[shift] : -1]
    yield quote(password, safe="").encode()
    yield quote_plus(password).encode()
    yield "".join(f"%{value:02x}" for value in plain).encode()
    yield plain[::-1]


def assert_kept(received: Iterable[bytes], password: str, *salts: bytes) -> None:
    """Assert that no bytes hold the password, also not covered with a salt that is known."""
    covered = [
        bytes(one ^ salt[at % len(salt)] for at, one in enumerate(password.encode()))
        for salt in salts
    ]
    for heard in received:
        for form in (*forms_of(password), *covered):
            assert form not in heard, "a server was given the password"
