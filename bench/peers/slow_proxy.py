"""A TCP proxy that makes every connection as slow as a distant server's.

Arguments: port to connect to, delay of one way in ms, most MB/s of one connection. Prints the port
it listens on, and ends with its standard input.
"""

import asyncio
import contextlib
import socket
import sys

_READ_BYTES = 64 * 1024
_UNDER_WAY = 16  # pieces of that size: more than the delay and the speed can hold


async def main(to_port: int, delay_s: float, bytes_per_s: float) -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)
    listener.settimeout(0)
    print(listener.getsockname()[1], flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)

    async def serve(client: socket.socket) -> None:
        with client, socket.socket() as server, contextlib.suppress(OSError):
            server.settimeout(0)
            await loop.sock_connect(server, ("127.0.0.1", to_port))
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(
                forward(client, server, delay_s, bytes_per_s),
                forward(server, client, delay_s, bytes_per_s),
            )

    async def accept() -> None:
        connections = set()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.settimeout(0)
            task = loop.create_task(serve(client))
            connections.add(task)
            task.add_done_callback(connections.discard)

    accepting = loop.create_task(accept())
    await ended
    accepting.cancel()


async def forward(
    source: socket.socket, sink: socket.socket, delay_s: float, bytes_per_s: float
) -> None:
    """Carry one direction to its end; each piece is on its way for the delay after its turn."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)

    async def take() -> None:
        line_free_at, data = 0.0, b"-"
        while data:
            try:
                data = await loop.sock_recv(source, _READ_BYTES)
            except OSError:
                data = b""
            line_free_at = max(line_free_at, loop.time()) + len(data) / bytes_per_s
            await pieces.put((line_free_at + delay_s, data))

    async def give() -> None:
        with contextlib.suppress(OSError):
            while True:
                due_at, data = await pieces.get()
                if (wait_s := due_at - loop.time()) > 0:
                    await asyncio.sleep(wait_s)
                if not data:
                    break
                await loop.sock_sendall(sink, data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    taking = asyncio.ensure_future(take())
    await give()
    taking.cancel()  # the other end is gone: nobody wants the rest


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1e3, float(sys.argv[3]) * 1e6))
