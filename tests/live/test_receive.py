"""COPY received from real servers: every type, TLS or not, direct or by psycopg, and cut short."""

import os
import signal
import threading
import time
from contextlib import closing

import psycopg
import pyarrow as pa
import pytest

from rivet.dial.library import copy_functions
from rivet.errors import FormatError
from rivet.sources.postgres.receive import CopyReceiver, start_copy
from rivet.wire.fields import Decoder, FieldSpec
from rivet.wire.kernel import kernel_kind
from rivet.wire.pgcopy import CopyDecoder
from support.copyrows import plain_values, recorded_cases, schema_of

DIRECT = [False] + ([True] if kernel_kind() == "compiled" else [])
PLENTY = {"max_rows": 1 << 20, "max_bytes": 1 << 30}
pytestmark = pytest.mark.live("postgresql")


@pytest.fixture(params=DIRECT, ids=lambda is_direct: "direct" if is_direct else "psycopg")
def is_direct(request):
    return request.param


def start(connection, query, *fields, is_direct, limit=1 << 28, expected_bytes=0):
    start_copy(connection.pgconn, f"COPY ({query}) TO STDOUT (FORMAT binary)".encode())
    decoder = CopyDecoder(list(fields), schema_of(*fields), limit)
    receiver = CopyReceiver(
        connection.pgconn, decoder, is_direct=is_direct, expected_bytes=expected_bytes
    )
    assert receiver.is_direct == is_direct
    return decoder, receiver


def read(decoder, receiver, **limits):
    """Receive everything; return the batches that are not empty."""
    batches, more = [], True
    while more:
        more = receiver.fill(**{**PLENTY, **limits})
        if decoder.rows:
            batches.append(decoder.take())
    return batches


def test_every_type_arrives_as_recorded_from_every_server(shared_postgres, is_direct):
    with closing(shared_postgres.connect()) as connection:
        for case in recorded_cases():
            decoder, receiver = start(connection, case.query, case.field, is_direct=is_direct)
            (batch,) = read(decoder, receiver)
            assert plain_values(batch.column(0)) == case.expected, case.name
            assert receiver.wire_bytes == len(case.stream), case.name


WIDE = (
    FieldSpec("i", Decoder.INT8),
    FieldSpec("n", Decoder.DECIMAL, precision=20, scale=3),
    FieldSpec("t", Decoder.TEXT),
    FieldSpec("l", Decoder.ARRAY, element=FieldSpec("l", Decoder.INT4)),
)
ROWS = (
    "SELECT i::int8, CASE WHEN i % 7 > 0 THEN i / 8.0 END::numeric(20,3),"
    " repeat('é', (i % 40)::int), ARRAY[i::int4, NULL] FROM generate_series(1, {}) AS i"
)


@pytest.mark.parametrize("expected_bytes", [1, 1_000_000, 10**15])
def test_a_wrong_expectation_only_costs_time(any_postgres, is_direct, expected_bytes):
    slow = "SELECT i::int4, pg_sleep(i % 500 / 499 * 0.003)::text FROM generate_series(1, 20000) i"
    fields = (FieldSpec("i", Decoder.INT4), FieldSpec("t", Decoder.TEXT))
    with closing(any_postgres.connect()) as connection:
        decoder, receiver = start(
            connection, slow, *fields, is_direct=is_direct, expected_bytes=expected_bytes
        )
        table = pa.Table.from_batches(read(decoder, receiver, max_rows=3000))
        assert table["i"].to_pylist() == list(range(1, 20_001))


def test_rows_arrive_whole_in_batches_of_the_asked_size(any_postgres, is_direct):
    with closing(any_postgres.connect()) as connection:
        decoder, receiver = start(connection, ROWS.format(20_000), *WIDE, is_direct=is_direct)
        batches = read(decoder, receiver, max_rows=3000)
        assert [batch.num_rows for batch in batches] == [3000] * 6 + [2000]
        table = pa.Table.from_batches(batches)
        table.validate(full=True)
        assert table["i"].to_pylist() == list(range(1, 20_001))
        assert table["l"].to_pylist() == [[i, None] for i in range(1, 20_001)]
        assert table["t"].to_pylist() == ["é" * (i % 40) for i in range(1, 20_001)]
        decoder, receiver = start(connection, ROWS.format(20_000), *WIDE, is_direct=is_direct)
        batches = read(decoder, receiver, max_bytes=200_000)
        assert all(batch.nbytes < 300_000 for batch in batches)
        assert pa.Table.from_batches(batches) == table
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_empty_result_has_no_rows_and_ends_clean(any_postgres, is_direct):
    with closing(any_postgres.connect()) as connection:
        decoder, receiver = start(connection, ROWS.format(0), *WIDE, is_direct=is_direct)
        assert read(decoder, receiver) == []
        assert receiver.fill(**PLENTY) is False
        assert decoder.take().num_rows == 0


def test_large_values_over_tls_arrive_whole(tls_postgres, is_direct):
    query = "SELECT repeat(i::text, 5000000) FROM generate_series(1, 4) AS i"
    with closing(tls_postgres.connect(sslmode="require")) as connection:
        field = FieldSpec("t", Decoder.TEXT)
        decoder, receiver = start(connection, query, field, is_direct=is_direct)
        values = pa.Table.from_batches(read(decoder, receiver, max_bytes=1))["t"].to_pylist()
        assert values == [str(i) * 5_000_000 for i in range(1, 5)]


def test_a_value_above_the_limit_is_refused(any_postgres, is_direct):
    with closing(any_postgres.connect()) as connection:
        field = FieldSpec("t", Decoder.TEXT)
        _, receiver = start(
            connection, "SELECT repeat('x', 1001)", field, is_direct=is_direct, limit=1000
        )
        with pytest.raises(FormatError, match="limit of 1000 bytes"):
            receiver.fill(**PLENTY)


def test_an_error_of_the_server_in_mid_stream_is_raised_with_its_code(any_postgres, is_direct):
    query = "SELECT 1 / (50000 - i) FROM generate_series(1, 100000) AS i"
    with closing(any_postgres.connect()) as connection:
        field = FieldSpec("i", Decoder.INT4)
        decoder, receiver = start(connection, query, field, is_direct=is_direct)
        with pytest.raises(psycopg.errors.DivisionByZero):
            read(decoder, receiver)
        assert decoder.rows < 50_000
        assert connection.execute("SELECT 1").fetchone() == (1,)


# Before the first rows the server is silent in `start_copy`; after them, in `fill`.
SILENT = {
    "at once": "SELECT pg_sleep(60)::text FROM generate_series(1, 2)",
    "later": "SELECT CASE WHEN i > 5000 THEN pg_sleep(60)::text ELSE repeat('x', 100) END"
    " FROM generate_series(1, 5001) AS i",
}


@pytest.fixture(params=SILENT)
def silent_query(request):
    return SILENT[request.param]


def read_silent(connection, query, *, is_direct):
    field = FieldSpec("t", Decoder.TEXT)
    decoder, receiver = start(connection, query, field, is_direct=is_direct)
    read(decoder, receiver)


def test_a_cancel_from_another_thread_ends_the_wait(any_postgres, silent_query, is_direct):
    with closing(any_postgres.connect()) as connection:
        timer = threading.Timer(0.5, connection.cancel_safe)
        timer.start()
        before = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            read_silent(connection, silent_query, is_direct=is_direct)
        assert time.monotonic() - before < 20
        timer.join()


def test_a_killed_backend_is_an_operational_error(any_postgres, silent_query, is_direct):
    with closing(any_postgres.connect()) as connection:
        kill = f"SELECT pg_terminate_backend({connection.info.backend_pid})"
        timer = threading.Timer(0.5, any_postgres.execute, (kill,))
        timer.start()
        with pytest.raises(psycopg.OperationalError):
            read_silent(connection, silent_query, is_direct=is_direct)
        timer.join()


def test_control_c_is_heard_while_the_server_is_silent(any_postgres, silent_query, is_direct):
    with closing(any_postgres.connect()) as connection:
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            read_silent(connection, silent_query, is_direct=is_direct)
        assert time.monotonic() - before < 20
        timer.join()


def test_a_connection_cut_in_mid_stream_is_an_operational_error(any_postgres, is_direct):
    with closing(any_postgres.connect()) as connection:
        decoder, receiver = start(connection, ROWS.format(2_000_000), *WIDE, is_direct=is_direct)
        assert receiver.fill(max_rows=1000, max_bytes=1 << 30)
        any_postgres.execute(f"SELECT pg_terminate_backend({connection.info.backend_pid})")
        with pytest.raises(psycopg.OperationalError):
            read(decoder, receiver)


@pytest.mark.skipif(kernel_kind() != "compiled", reason="the compiled kernel is not here")
def test_other_threads_run_while_rows_are_awaited(any_postgres):
    query = (
        "SELECT CASE WHEN i > 5000 THEN pg_sleep(1)::text ELSE repeat('x', 100) END"
        " FROM generate_series(1, 5001) AS i"
    )
    ticks: list[float] = []
    done = threading.Event()

    def tick():
        while not done.wait(0.01):
            ticks.append(time.monotonic())

    with closing(any_postgres.connect()) as connection:
        field = FieldSpec("t", Decoder.TEXT)
        decoder, receiver = start(connection, query, field, is_direct=True)
        thread = threading.Thread(target=tick)
        thread.start()
        read(decoder, receiver)
        done.set()
        thread.join()
    assert len(ticks) > 20


def test_libpq_is_refused_for_a_closed_connection(any_postgres):
    connection = any_postgres.connect()
    connection.close()
    assert copy_functions(connection.pgconn) is None
