"""An HTTP proxy in front of an object store that misbehaves on order, and counts what is asked.

with FaultProxy("http://127.0.0.1:9000") as proxy:
    proxy.plan = RandomFaults(seed=7)        # or any function of a request
    run(bucket.block("orders", endpoint=proxy.url))
    assert proxy.seen["part"] == 3
"""

from __future__ import annotations

import asyncio
import random
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK: Final = 1 << 16
_HEAD: Final = 1 << 18
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BUSY: Final = {
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}
_LEFT_OUT: Final = {"connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """What a client asks.

    Attributes:
        kind: `put`, `start`, `part`, `complete`, `abort`, `copy`, `get`, `head`, `list`, `uploads`,
            `delete` or `other`.
        path: Unquoted, with bucket and key.
        size: Bytes of its body.
    """

    kind: str
    path: str
    size: int


@dataclass(frozen=True)
class Fault:
    """What becomes of one request.

    Attributes:
        status: Answered by the proxy; the store sees nothing.
        after_s: Waited before anything is passed on.
        reset_after: The connection is reset once so many bytes of the body were taken; the store
            sees nothing.
        reset_answer_after: The store has done it; its answer is cut after so many bytes by a reset.
        truncate_after: The same, by an end in order, though more was promised.
        longer_by: Added to the answer's Content-Length.
        is_flipped: One bit of the body is another one when the store sees it.
        is_hanging: Nothing is answered before the proxy ends; the store sees nothing.
    """

    status: int | None = None
    after_s: float = 0.0
    reset_after: int | None = None
    reset_answer_after: int | None = None
    truncate_after: int | None = None
    longer_by: int = 0
    is_flipped: bool = False
    is_hanging: bool = False


class RandomFaults:
    """A plan by a seed: some requests, and bursts of them, go wrong in one way each.

    Args:
        seed: The same seed gives the same draws, in the order in which requests come.
        share: Of requests that go wrong.
        most_in_a_row: How many may be refused after each other; clients give up after more.
    """

    def __init__(self, seed: int, share: float = 0.15, most_in_a_row: int = 3) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._most = most_in_a_row
        self._burst: list[Fault] = []

    def __call__(self, request: Request) -> Fault | None:
        """Return what becomes of the request."""
        draw = self._random
        if self._burst:
            return self._burst.pop()
        if draw.random() >= self._share:
            return None
        if draw.random() < 1 / 3:
            fault = Fault(status=draw.choice(list(_BUSY)))
            self._burst = [fault] * draw.randrange(self._most)
            return fault
        return draw.choice(
            [
                Fault(reset_after=draw.randrange(request.size + 1)),
                Fault(reset_answer_after=draw.randrange(200)),
                Fault(truncate_after=draw.randrange(200)),
                Fault(after_s=draw.random() / 5),
            ]
        )


class _Reset(Exception):  # noqa: N818 - an order, not a fault
    """The connection is to be reset now."""


@dataclass
class FaultProxy:
    """Passes requests on to one store; everything may be set at any time.

    Attributes:
        target: The store's address.
        plan: Says what becomes of a request; None is passing it on.
        latency_s: Waited before each request is passed on.
        bytes_per_s: Of all bodies together, both ways.
        seen: How many requests of each kind were taken, failed ones included.
        faults: How many went wrong.
        asked: All requests, in the order in which they were taken.
    """

    target: str
    plan: Callable[[Request], Fault | None] = lambda _: None
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    seen: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._free_at = 0.0
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The address that clients use."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except _Reset:
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET_ON_CLOSE)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # somebody has gone
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if writer.is_closing() else writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass one request and its answer on; False where the connection ends with it."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, headers = _parsed(head)
        size = int(headers.get("content-length", 0))
        method, target, _ = line.split(" ", 2)
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(_kind(method, query, headers), unquote(parts.path), size)
        self.seen[request.kind] += 1
        self.asked.append(request)
        fault = self.plan(request) or Fault()
        self.faults += fault != Fault()
        await asyncio.sleep(self.latency_s + fault.after_s)
        if fault.is_hanging:
            await asyncio.Event().wait()
        if fault.reset_after is not None:
            await self._read(reader, min(size, fault.reset_after))
            raise _Reset
        body = await self._read(reader, size)
        if fault.status is not None:
            text = f"<Error><Code>{_BUSY.get(fault.status, 'Fault')}</Code></Error>".encode()
            begin = f"HTTP/1.1 {fault.status} Fault\r\nContent-Type: application/xml\r\n"
            writer.write(f"{begin}Content-Length: {len(text)}\r\n\r\n".encode())
            writer.write(b"" if method == "HEAD" else text)
            await writer.drain()
            return True
        if fault.is_flipped and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        answer = await self._ask(head, body)
        return await self._answer(answer, fault, writer, is_head=method == "HEAD")

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        where = urlsplit(self.target)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            line, *rest = head.rstrip(b"\r\n").split(b"\r\n")
            kept = [one for one in rest if one.split(b":")[0].lower() != b"connection"]
            writer.write(b"\r\n".join([line, *kept, b"Connection: close", b"", b""]) + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()

    async def _answer(
        self, answer: bytes, fault: Fault, writer: asyncio.StreamWriter, *, is_head: bool
    ) -> bool:
        head, _, body = answer.partition(b"\r\n\r\n")
        line, headers = _parsed(head + b"\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = _joined(body)
        length = headers.get("content-length", "0") if is_head else str(len(body))
        if fault.longer_by and not is_head:
            length = str(max(0, len(body) + fault.longer_by))
        status = int(line.split(" ")[1])
        kept = {name: text for name, text in headers.items() if name not in _LEFT_OUT}
        if status != 204:
            kept["content-length"] = length
        told = "".join(f"{name}: {text}\r\n" for name, text in kept.items())
        begin = f"HTTP/1.1 {line.split(' ', 1)[1]}\r\n{told}\r\n".encode("latin-1")
        cut = fault.truncate_after if fault.reset_answer_after is None else fault.reset_answer_after
        passed = memoryview(begin + body)[:cut]
        for start in range(0, len(passed), _BLOCK):
            block = passed[start : start + _BLOCK]
            await self._wait_for(len(block))
            writer.write(block)
            await writer.drain()
        if fault.reset_answer_after is not None:
            raise _Reset
        return cut is None and not fault.longer_by

    async def _read(self, reader: asyncio.StreamReader, size: int) -> bytes:
        read = bytearray()
        while len(read) < size:
            block = await reader.read(min(_BLOCK, size - len(read)))
            if not block:
                raise asyncio.IncompleteReadError(bytes(read), size)
            await self._wait_for(len(block))
            read += block
        return bytes(read)

    async def _wait_for(self, size: int) -> None:
        """Wait until so many bytes may pass."""
        if self.bytes_per_s is None:
            return
        now = self._loop.time()
        self._free_at = max(now, self._free_at) + size / self.bytes_per_s
        if self._free_at - now > 0.005:
            await asyncio.sleep(self._free_at - now)


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (one.partition(":") for one in rest)
    return line, {name.strip().lower(): text.strip() for name, _, text in pairs}


def _joined(chunks: bytes) -> bytes:
    body = bytearray()
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        if not length:
            break
        body += chunks[:length]
        chunks = chunks[length + 2 :]
    return bytes(body)


def _kind(method: str, query: dict[str, str], headers: dict[str, str]) -> str:
    is_copy = any(name.endswith("copy-source") for name in headers)
    is_list = "list-type" in query or query.get("comp") == "list"
    told = {
        "PUT": "copy" if is_copy else _put_kind(query),
        "POST": _post_kind(query),
        "DELETE": "abort" if "uploadId" in query else "delete",
        "GET": "list" if is_list else "uploads" if "uploads" in query else "get",
        "HEAD": "head",
    }
    return told.get(method, "other")


def _put_kind(query: dict[str, str]) -> str:
    if query.get("comp") == "blocklist":
        return "complete"
    is_part = "partNumber" in query or query.get("comp") == "block"
    return "part" if is_part else "put"


def _post_kind(query: dict[str, str]) -> str:
    if query.get("comp") == "batch":
        return "delete"  # a batch of one, as the client of Azure has it
    return "start" if "uploads" in query else "complete" if "uploadId" in query else "other"
