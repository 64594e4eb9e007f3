"""A read that is cut in the middle is an error, never the end of the data."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rivet.errors import SourceInterruptedError
from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.postgres import connect

pytestmark = pytest.mark.live("postgresql")
ROWS = 50_000
T = Relation(table="t")
# Rows wide enough that the server sends each as it comes, instead of gathering a packet of them.
SLOW = Relation(
    query="SELECT i, repeat('x', 9000) || pg_sleep(0.01) AS s FROM generate_series(1, 100000) i"
)


class Proxy:
    """A relay on a free port that closes both sides once it has passed so many bytes on."""

    def __init__(self, host, port, cut_after_bytes):
        self._target, self._left = (host, port), cut_after_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = []
        self._start(self._accept)

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._start(self._relay, client, server, False)
                self._start(self._relay, server, client, True)

    def _relay(self, source, sink, is_counted):
        with contextlib.suppress(OSError), source, sink:
            while data := source.recv(4096):
                if is_counted:
                    self._left -= len(data)
                    if self._left < 0:
                        data = data[: max(0, self._left + len(data))]
                sink.sendall(data)
                if is_counted and self._left < 0:
                    for end in (source, sink):
                        end.shutdown(socket.SHUT_RDWR)
                    return

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)


@pytest.fixture
def filled(any_postgres):
    any_postgres.execute(
        f"CREATE TABLE t AS SELECT i AS a, repeat('x', 100) AS b FROM generate_series(1, {ROWS}) i"
    )
    return any_postgres


def start(url):
    session = connect(SourceAddress("postgresql", url=Secret(url)), SessionSettings())
    columns = session.columns(T, ColumnRules())
    return session, session.read(ReadRequest(T, columns, batch_rows=1000))


def read_all(url):
    session, stream = start(url)
    with session:
        return sum(batch.num_rows for batch in stream)


def test_a_terminated_backend(filled):
    session, stream = start(filled.url)
    with session:
        batches = iter(stream)
        next(batches)
        pid = session._connection.info.backend_pid
        filled.execute(f"SELECT pg_terminate_backend({pid})", admin=True)
        with pytest.raises(SourceInterruptedError) as caught:
            list(batches)
    assert stream.counters.rows < ROWS
    assert caught.value.retryable
    assert caught.value.reconnect


@pytest.mark.parametrize("kilobytes", [20, 100, 1000, 5000])
def test_a_connection_cut_anywhere(filled, kilobytes):
    assert read_all(filled.url) == ROWS
    given = conninfo_to_dict(filled.url)
    proxy = Proxy(given["host"], int(given["port"]), kilobytes * 1000 + 7)
    try:
        with pytest.raises(SourceInterruptedError):
            read_all(make_conninfo(**{**given, "port": proxy.port}))
    finally:
        proxy.close()


def test_a_killed_client_leaves_no_statement_running(any_postgres):
    program = (
        "import sys; from rivet.sources.postgres import connect; from rivet.redact import Secret\n"
        "from rivet.model.source import SessionSettings, SourceAddress\n"
        "from rivet.model.relation import Relation\n"
        "address = SourceAddress('postgresql', url=Secret(sys.argv[1]))\n"
        "connect(address, SessionSettings()).count(Relation(query='SELECT pg_sleep(300)'))\n"
    )
    client = subprocess.Popen([sys.executable, "-c", program, any_postgres.url])
    try:
        assert wait_for(lambda: sleeping(any_postgres) == 1)
        os.kill(client.pid, signal.SIGKILL)
    finally:
        client.kill()
        client.wait()
    assert wait_for(lambda: sleeping(any_postgres) == 0)


def sleeping(database):
    rows = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND query LIKE '%pg_sleep(300)%' "
        "AND state = 'active' AND pid <> pg_backend_pid()",
        admin=True,
    )
    return rows[0][0]


def wait_for(holds, *, within_s=30):
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_a_cancel_by_the_administrator(filled):
    session = connect(SourceAddress("postgresql", url=Secret(filled.url)), SessionSettings())
    with session:
        columns = session.columns(SLOW, ColumnRules())
        batches = iter(session.read(ReadRequest(SLOW, columns, batch_rows=1)))
        next(batches)
        with psycopg.connect(filled.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_cancel_backend(%s)", [session._connection.info.backend_pid])
        with pytest.raises(SourceInterruptedError):
            list(batches)
