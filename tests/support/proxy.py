"""A TCP proxy that misbehaves on order: delays, cuts, silence.

with Proxy("127.0.0.1", port) as proxy:
    proxy.cut_after_bytes = 100_000          # of one connection's answers
    connect(proxy.rewrite(url))
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_BLOCK_BYTES = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards connections to one address; the faults may be set at any time.

    Attributes:
        delay_s: Waited before each block of answers is passed on.
        cut_after_bytes: Both sides are reset once a connection has passed this many bytes of
            answers; None for never.
        is_clean_cut: A cut closes both sides in order, so that it looks like an end.
        is_black_hole: Nothing is passed on either way, and nothing is closed.
        target: Host and port that the next connection is passed on to.
        accepted: How many connections were taken.
        answered_bytes: Bytes of answers passed on, over all connections.
        answers: The answers themselves, once `keeps_answers` is set.
    """

    def __init__(self, host: str, port: int) -> None:
        self.delay_s = 0.0
        self.cut_after_bytes: int | None = None
        self.is_clean_cut = False
        self.is_black_hole = False
        self.keeps_answers = False
        self.answers = bytearray()
        self.accepted = 0
        self.answered_bytes = 0
        self.target = (host, port)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._is_open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join(timeout=5)

    def rewrite(self, url: str) -> str:
        """Return a database URL that goes through this proxy."""
        parts = urlsplit(url)
        userinfo, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{userinfo}{at}127.0.0.1:{self.port}"))

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                # shutdown wakes the thread that reads from it; close alone does not
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _start(self, function: object, *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while self._is_open:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets += [client, server]
            self._start(self._forward, client, server)
            self._start(self._answer, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        for block in self._blocks(client):
            with suppress(OSError):
                server.sendall(block)
        self._end(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        for block in self._blocks(server):
            time.sleep(self.delay_s)
            limit = self.cut_after_bytes
            is_cut = limit is not None and passed + len(block) >= limit
            allowed = block[: max(0, limit - passed)] if is_cut and limit is not None else block
            passed += len(allowed)
            self.answered_bytes += len(allowed)
            # kept before they are passed on: whoever has read them finds them here
            if self.keeps_answers:
                self.answers += allowed
            with suppress(OSError):
                client.sendall(allowed)
            if is_cut:
                if not self.is_clean_cut:
                    self.cut_all()
                break
        self._end(client)

    def _blocks(self, source: socket.socket):
        while True:
            try:
                block = source.recv(_BLOCK_BYTES)
            except OSError:
                return
            if not block:
                return
            while self.is_black_hole and self._is_open:
                time.sleep(0.01)
            yield block

    @staticmethod
    def _end(side: socket.socket) -> None:
        with suppress(OSError):
            side.shutdown(socket.SHUT_WR)
