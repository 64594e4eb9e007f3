"""A connection's socket on which every wait has an end: a deadline, a request to stop, a cut.

Nothing here knows the protocol. The socket never blocks; what is waited for is waited for here, a
quarter of a second at a time at the most.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import os
import queue
import select
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rivet.dial.ending import OpenEnd, awaited_end

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BoundedSocket", "CutError", "SilentError", "Way", "reach"]

_TICK_S: Final = 0.25
_BLOCK_BYTES: Final = 64 * 1024
_GOODBYE_S: Final = 0.5
_BEGUN: Final = frozenset({0, errno.EINPROGRESS, errno.EAGAIN, errno.EWOULDBLOCK})

_Address = tuple[int, Any]


class SilentError(TimeoutError):
    """The time for an answer is over.

    Attributes:
        seconds: How long it was.
        is_begun: Some of the answer had come.
    """

    def __init__(self, seconds: float, *, is_begun: bool) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds
        self.is_begun = is_begun


class CutError(ConnectionAbortedError):
    """Somebody on this side wants no answer any more."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached.

    Attributes:
        host: Name or address.
        port: TCP port.
        path: Of a local socket, which then is used instead.
        connect_timeout_s: The most seconds until the server has let us in.
        is_stopped: Asked now and then until then; nobody wants the connection any more.
        end_wait_s: How long the server's end is waited for once the socket is closed.
        keep_end: Given that end where it has not come by then.
    """

    host: str
    port: int
    path: str | None
    connect_timeout_s: float
    is_stopped: Callable[[], bool] | None = None
    end_wait_s: float = 0.0
    keep_end: Callable[[OpenEnd], None] | None = None


class BoundedSocket:
    """A connected socket; `expect` before an answer, then `read` or `read_into` until it is there.

    Only `cut` may be called from another thread.
    """

    def __init__(self, seconds: float, is_stopped: Callable[[], bool] | None) -> None:
        self._socket: socket.socket | None = None
        self._seconds = seconds
        self._expires_at = time.monotonic() + seconds
        self._is_fixed = True
        self._is_begun = False
        self._is_stopped = is_stopped
        self._cut_at = math.inf
        self._buffer = bytearray(_BLOCK_BYTES)
        self._start = self._stop = 0
        self.end_wait_s = 0.0
        self.keep_end: Callable[[OpenEnd], None] | None = None

    def fix(self, seconds: float) -> None:
        """Have everything from now on be over after so many seconds."""
        self._is_fixed = True
        self._seconds, self._expires_at = seconds, time.monotonic() + seconds

    def free(self, seconds: float) -> None:
        """Let every answer from now on take so long, and every packet of rows; 0 is no limit."""
        self._is_fixed, self._is_stopped = False, None
        self._seconds = seconds or math.inf

    def expect(self, *, is_next: bool = False) -> None:
        """Begin to wait for an answer, or for the next packet of one."""
        if not is_next:
            self._is_begun, self._cut_at = False, math.inf
        if not self._is_fixed:
            self._expires_at = time.monotonic() + self._seconds

    def cut(self, after_s: float) -> None:
        """End the wait for the answer that is expected now, and no other."""
        self._cut_at = min(self._cut_at, time.monotonic() + after_s)

    @property
    def is_cut(self) -> bool:
        """Whether the answer that is expected now is not wanted any more."""
        return self._cut_at < math.inf

    def connect(self, family: int, address: Any, expires_at: float) -> None:  # noqa: ANN401
        """Connect to an address by a moment that is not behind the deadline.

        Raises:
            OSError: It cannot be reached.
        """
        raw = self._socket = socket.socket(family, socket.SOCK_STREAM)
        raw.settimeout(0)
        code = raw.connect_ex(address)
        while code in {errno.EAGAIN, errno.EWOULDBLOCK} and family == socket.AF_UNIX:
            # Its queue is full.
            self._check(expires_at)
            time.sleep(_TICK_S / 5)
            code = raw.connect_ex(address)
        if code not in _BEGUN:
            raise OSError(code, os.strerror(code))
        if code:
            self._wait(select.POLLOUT, expires_at)
            code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
        if family != socket.AF_UNIX:
            _keep_alive(raw)

    def protect(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on.

        Raises:
            ssl.SSLError: It cannot be agreed on, the server is another one, or it has said
                something before it was protected.
        """
        if self._start < self._stop:
            msg = "the server goes on without TLS"
            raise ssl.SSLError(msg)
        raw = context.wrap_socket(
            self._connected(), server_hostname=host, do_handshake_on_connect=False
        )
        self._socket = raw
        self._patiently(select.POLLIN, raw.do_handshake)

    def read(self, size: int) -> bytes:
        """Return so many bytes; memory is taken as they come.

        Raises:
            OSError: They do not come.
        """
        pieces = []
        while size:
            if self._start == self._stop:
                self._start, self._stop = 0, self._receive(memoryview(self._buffer))
                if not self._stop:
                    raise ConnectionResetError(errno.ECONNRESET, "the server hung up")
            piece = bytes(self._buffer[self._start : min(self._stop, self._start + size)])
            self._start += len(piece)
            size -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, target: memoryview) -> int:
        """Put what is there or comes next into a buffer; 0 is the end of the connection."""
        ahead = min(self._stop - self._start, len(target))
        if ahead:
            target[:ahead] = self._buffer[self._start : self._start + ahead]
            self._start += ahead
            return ahead
        return self._receive(target)

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: It cannot be sent.
        """
        raw, left = self._connected(), memoryview(data)
        while left:
            sent: int = self._patiently(select.POLLOUT, partial(raw.send, left))
            left = left[sent:]

    def bid_farewell(self) -> None:
        """Wait for nothing much any more."""
        self.fix(_GOODBYE_S)

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        closed, self._socket = self._socket, None
        if closed is not None:
            with suppress(OSError), awaited_end(closed.fileno(), self.end_wait_s, self.keep_end):
                closed.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError(errno.ECONNRESET, "the connection is closed")
        return self._socket

    def _receive(self, target: memoryview) -> int:
        raw = self._connected()
        received: int = self._patiently(select.POLLIN, partial(raw.recv_into, target))
        self._is_begun = True
        if self._cut_at < math.inf:
            self._check(math.inf)
        return received

    def _patiently(self, event: int, call: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Call, and wait where the socket is not ready for it, until it is."""
        while True:
            try:
                return call()
            except BlockingIOError:
                self._wait(event, self._expires_at)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, self._expires_at)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, self._expires_at)

    def _wait(self, event: int, expires_at: float) -> None:
        poll = select.poll()
        poll.register(self._connected().fileno(), event)
        while True:
            left = self._check(expires_at)
            if poll.poll(math.ceil(min(left, _TICK_S) * 1000)):
                return

    def _check(self, expires_at: float) -> float:
        """Return how many seconds are left."""
        now = time.monotonic()
        if now >= self._cut_at or (self._is_stopped is not None and self._is_stopped()):
            msg = "it was cancelled"
            raise CutError(msg)
        if now >= expires_at:
            raise SilentError(self._seconds, is_begun=self._is_begun)
        return expires_at - now


def reach(way: Way) -> BoundedSocket:
    """Connect to a server, by the first of its addresses that answers.

    Raises:
        OSError: None does, or none is known.
    """
    expires_at = time.monotonic() + way.connect_timeout_s
    found = BoundedSocket(way.connect_timeout_s, way.is_stopped)
    found.end_wait_s, found.keep_end = way.end_wait_s, way.keep_end
    if way.path is not None:
        addresses: list[_Address] = [(socket.AF_UNIX, way.path)]
    else:
        addresses = _resolved(way, expires_at)
    for place, (family, address) in enumerate(addresses):
        now = time.monotonic()
        share = now + (expires_at - now) / (len(addresses) - place)
        try:
            found.connect(family, address, share)
        except BaseException as error:
            found.close()
            if not isinstance(error, OSError) or isinstance(error, CutError):
                raise
            if place == len(addresses) - 1 or time.monotonic() >= expires_at:
                raise
        else:
            return found
    raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _resolved(way: Way, expires_at: float) -> list[_Address]:
    """Return a host's addresses; a name server that does not answer is waited for on a thread."""
    # As bytes: of a text Python makes an international name first, which takes it long to learn.
    host = way.host.encode() if way.host.isascii() else way.host
    look_up = partial(socket.getaddrinfo, host, way.port, type=socket.SOCK_STREAM)
    if _is_address(way.host):
        return _told(look_up())
    answers: queue.SimpleQueue[list[Any] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(look_up())
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="rivet-resolve", daemon=True).start()
    while True:
        left = expires_at - time.monotonic()
        if left <= 0:
            raise SilentError(way.connect_timeout_s, is_begun=False)
        if way.is_stopped is not None and way.is_stopped():
            msg = "it was cancelled"
            raise CutError(msg)
        with suppress(queue.Empty):
            found = answers.get(timeout=min(left, _TICK_S))
            if isinstance(found, UnicodeError):
                raise socket.gaierror(socket.EAI_NONAME, "no such name can be") from found
            if isinstance(found, OSError):
                raise found
            return _told(found)


def _told(answers: list[Any]) -> list[_Address]:
    """Return each address of a resolver's answers once."""
    return list(dict.fromkeys((one[0], one[4]) for one in answers))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _keep_alive(raw: socket.socket) -> None:
    """Send at once, and notice a peer that is gone within about a minute."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 60_000),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            raw.setsockopt(socket.IPPROTO_TCP, option, value)
