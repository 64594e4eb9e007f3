"""Answers of a real server against the limits of a connection."""

from contextlib import closing

import pytest

from rivet.dial.gate import Protection
from rivet.dial.guarded import Connection, FloodError, SilentError
from rivet.dial.login import log_in
from rivet.dial.parameters import completed

pytestmark = pytest.mark.live("postgresql")


@pytest.fixture
def connection(any_postgres):
    from psycopg.conninfo import conninfo_to_dict

    given = {key: str(value) for key, value in conninfo_to_dict(any_postgres.url).items()}
    opened = log_in(completed(given), Protection.UNDECIDED, timeout_s=10)
    with closing(Connection.over(opened)) as found:
        yield found


def test_an_answer_within_the_limits(connection):
    rows = connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 20000)").fetchall()
    assert len(rows) == 20_000


def test_too_many_bytes_close_the_connection(connection):
    with pytest.raises(FloodError, match="33,554,432 bytes"):
        connection.execute("SELECT repeat('x', 100000) FROM generate_series(1, 3000)")
    assert connection.closed


def test_too_many_rows(connection):
    connection.answer_rows = 1000
    cursor = connection.execute("SELECT FROM generate_series(1, 1001)")
    with pytest.raises(FloodError, match="1,000 rows"):
        cursor.fetchall()


def test_a_silent_server(connection):
    connection.patience_s = 0.5
    with pytest.raises(SilentError, match=r"nothing for 0\.5 s"):
        connection.execute("SELECT pg_sleep(30)")
    assert connection.closed


def test_a_stop_ends_the_wait_soon(connection):
    connection.is_stopped = lambda: True
    with pytest.raises(Exception, match="given up"):
        connection.execute("SELECT pg_sleep(30)")
