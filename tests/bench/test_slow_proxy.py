"""The benchmark's proxy changes when bytes arrive, and nothing else."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

_PROXY = Path(__file__).parents[2] / "bench" / "peers" / "slow_proxy.py"


@contextmanager
def _connection(answer, delay_ms, mb_per_s):
    """Yield a socket whose other end runs `answer` behind the proxy."""

    def serve():
        server, _ = listener.accept()
        with server:
            answer(server)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        command = [sys.executable, _PROXY, str(listener.getsockname()[1]), str(delay_ms)]
        with subprocess.Popen(
            [*command, str(mb_per_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as proxy:
            port = int(proxy.stdout.readline())
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.settimeout(20)
                yield client
        thread.join()
    assert proxy.returncode == 0


def _read_all(stream):
    pieces = []
    while piece := stream.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def test_a_stream_arrives_whole_and_no_faster_than_its_speed():
    data = os.urandom(4_000_000)
    with _connection(lambda server: server.sendall(data), delay_ms=1, mb_per_s=20) as client:
        began = time.monotonic()
        assert _read_all(client) == data
        assert time.monotonic() - began > 0.15


def test_an_answer_takes_the_delay_of_both_ways():
    def echo(server):
        while piece := server.recv(100):
            server.sendall(piece)

    with _connection(echo, delay_ms=20, mb_per_s=20) as client:
        began = time.monotonic()
        for number in range(3):
            client.sendall(b"question %d" % number)
            assert client.recv(100) == b"question %d" % number
        assert time.monotonic() - began > 3 * 0.04
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"", "the end of the stream goes through, too"


def test_a_client_that_goes_away_ends_the_servers_side():
    ended = threading.Event()

    def pour(server):
        try:
            while True:
                server.sendall(bytes(1 << 16))
        except OSError:
            ended.set()

    with _connection(pour, delay_ms=1, mb_per_s=20) as client:
        client.recv(10)
        client.close()
        assert ended.wait(10)
