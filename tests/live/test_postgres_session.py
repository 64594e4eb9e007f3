"""Sessions on real PostgreSQL servers: settings, snapshots, questions, limits."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from rivet.errors import (
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
)
from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support.asking import value_of

pytestmark = pytest.mark.live("postgresql")
T = Relation(table="t")
# Rows wide enough that the server sends each as it comes, instead of gathering a packet of them.
SLOW = Relation(
    query="SELECT i, repeat('x', 9000) || pg_sleep(0.01) AS s FROM generate_series(1, 100000) i"
)


def opened(database, **settings):
    return connect(
        SourceAddress("postgresql", url=Secret(database.url)), SessionSettings(**settings)
    )


def stream_of(session, relation=T, **bounds):
    columns = session.columns(relation, ColumnRules())
    return session.read(ReadRequest(relation, columns, **bounds))


def values(stream):
    return [row for batch in stream for row in zip(*batch.to_pydict().values(), strict=True)]


def numbers(database, count=100_000):
    database.execute(
        f"CREATE TABLE t AS SELECT i AS a, repeat('x', 500) AS b FROM generate_series(1, {count}) i"
    )


def test_settings_hold_for_the_transaction_only(postgres):
    names = ["client_encoding", "transaction_isolation", "transaction_read_only",
             "statement_timeout", "lock_timeout",
             "idle_in_transaction_session_timeout"]  # fmt: skip
    if postgres.version >= 17:
        postgres.execute(
            f"ALTER ROLE CURRENT_USER IN DATABASE {postgres.name} SET transaction_timeout = '7s'"
        )
    with opened(postgres, statement_timeout_s=1.5, lock_timeout_s=2) as session:
        found = [value_of(session, f"SELECT current_setting('{name}')") for name in names]
        assert found == ["UTF8", "repeatable read", "on", "1500ms", "2s", "0"]
        if postgres.version >= 17:
            assert value_of(session, "SELECT current_setting('transaction_timeout')") == "0"
        assert (
            value_of(session, "SELECT current_setting('client_connection_check_interval')") == "5s"
        )
        outside = session._connection.execute("SHOW statement_timeout").fetchone()
        assert outside == ("0",)


def test_settings_that_queries_mean_something_by_are_the_servers_own(any_postgres):
    own = {"TimeZone": "Asia/Kolkata", "DateStyle": "SQL, DMY", "IntervalStyle": "sql_standard",
           "bytea_output": "escape", "extra_float_digits": "0"}  # fmt: skip
    with opened(any_postgres) as session:
        assert {name: value_of(session, f"SHOW {name}") for name in own} == own


def test_nothing_can_be_written(any_postgres):
    any_postgres.execute("CREATE TABLE t (a int)")
    with opened(any_postgres) as session, pytest.raises(SourceQueryError, match="read-only"):
        value_of(session, "INSERT INTO t VALUES (1) RETURNING a")
    with opened(any_postgres) as session:
        assert value_of(session, "SELECT count(*) FROM t") == "0"


def test_position_moves_on(any_postgres):
    with opened(any_postgres) as session:
        before = session.position()
        any_postgres.execute("SET synchronous_commit = on; CREATE TABLE t (a int)")
        after = session.position()
    assert (before.engine, before.kind, before.is_approximate) == ("postgresql", "lsn", True)
    assert before.text != after.text


def test_no_position_without_the_right_to_ask(any_postgres):
    any_postgres.execute("REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC", admin=True)
    with opened(any_postgres) as session:
        assert session.position() is None


def test_batches_are_bounded_by_rows_and_by_bytes(postgres):
    numbers(postgres, 10_000)
    with opened(postgres) as session:
        stream = stream_of(session, batch_rows=1000)
        sizes = [batch.num_rows for batch in stream]
        assert max(sizes) <= 1000
        assert sum(sizes) == 10_000
        stream = stream_of(session, batch_bytes=100_000)
        batches = list(stream)
    assert max(batch.nbytes for batch in batches) < 300_000
    assert sum(batch.num_rows for batch in batches) == 10_000
    counters = stream.counters
    assert counters.rows == 10_000
    assert counters.wire_bytes > 5_000_000
    assert 0 < counters.longest_statement_s < 60


def test_one_snapshot_for_reads_and_counts(any_postgres):
    numbers(any_postgres, 1000)
    with opened(any_postgres) as session:
        stream = stream_of(session)
        any_postgres.execute("INSERT INTO t VALUES (0, ''); DELETE FROM t WHERE a > 500")
        assert len(values(stream)) == 1000
        assert session.has_snapshot
        assert session.count(T) == 1000
        assert session.count(Relation(query="SELECT a FROM t WHERE a > 500; -- half")) == 500
        assert len(values(stream_of(session))) == 1000
    with opened(any_postgres) as session:
        assert not session.has_snapshot
        assert session.count(T) == 501


@pytest.mark.parametrize("relation", [T, Relation(query="SELECT a FROM t")])
def test_a_planned_table_cannot_be_truncated_under_the_read(any_postgres, relation):
    numbers(any_postgres, 10)
    with opened(any_postgres) as session:
        stream = stream_of(session, relation)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            any_postgres.execute("SET lock_timeout = 100; TRUNCATE t")
        assert len(values(stream)) == 10


@pytest.mark.parametrize(
    "relation", [T, Relation(query="SELECT * FROM t"), Relation(query="SELECT * FROM v")]
)
def test_the_snapshot_is_taken_after_the_lock(any_postgres, relation):
    """A read that waited for a TRUNCATE sees what came after it, and never an empty table."""
    numbers(any_postgres, 10)
    any_postgres.execute("CREATE VIEW v AS SELECT * FROM t")
    with opened(any_postgres) as session, any_postgres.connect() as other:
        columns = session.columns(relation, ColumnRules())
        other.execute("BEGIN; TRUNCATE t; INSERT INTO t VALUES (1, ''), (2, ''), (3, '')")
        found = []
        reader = threading.Thread(
            target=lambda: found.extend(values(session.read(ReadRequest(relation, columns))))
        )
        reader.start()
        while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
            time.sleep(0.05)
        other.execute("COMMIT")
        reader.join()
    assert len(found) == 3


def test_closing_early_stops_the_statement_and_keeps_the_session(postgres):
    numbers(postgres)
    with opened(postgres) as session:
        stream = stream_of(session, batch_rows=100)
        assert next(iter(stream)).num_rows <= 100
        stream.close()
        stream.close()
        assert list(stream) == []
        assert value_of(session, "SELECT count(*) FROM t") == "100000"


def test_a_session_that_ends_in_the_middle_leaves_nothing_running(any_postgres):
    with opened(any_postgres) as session:
        stream = stream_of(session, SLOW, batch_rows=1)
        next(iter(stream))
    assert not running(any_postgres, "generate_series")


@pytest.mark.parametrize("pause_s", [0, 0.3])
def test_closing_from_another_thread_ends_the_iteration(any_postgres, pause_s):
    """As a writer does that failed while the next batch is being read."""
    with opened(any_postgres) as session:
        stream = stream_of(session, SLOW, batch_rows=2)
        first, ended = threading.Event(), []

        def consume():
            for _ in stream:
                first.set()
                time.sleep(pause_s)
            ended.append(True)

        reader = threading.Thread(target=consume)
        reader.start()
        first.wait()
        stream.close()
        reader.join(timeout=10)
        assert ended == [True]
        assert value_of(session, "SELECT 1") == "1"


def running(database, text, *, within_s=10):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        rows = database.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND state = 'active' AND pid <> pg_backend_pid() "
            f"AND query LIKE '%{text}%'",
            admin=True,
        )
        if not rows:
            return []
        time.sleep(0.05)
    return rows


def test_cancel_from_another_thread(any_postgres):
    query = Relation(query="SELECT pg_sleep(60)::text AS s")
    with opened(any_postgres) as session:
        stream = stream_of(session, query)
        timer = threading.Timer(0.5, session.cancel)
        timer.start()
        with pytest.raises(SourceInterruptedError):
            list(stream)
        timer.join()
        assert value_of(session, "SELECT 1") == "1"


def test_statement_timeout(any_postgres):
    query = Relation(query="SELECT i, pg_sleep(0.05)::text AS s FROM generate_series(1, 1000) i")
    with opened(any_postgres, statement_timeout_s=0.5) as session:
        with pytest.raises(SourceStatementTimeoutError, match=r"0\.5 s") as caught:
            list(stream_of(session, query))
        assert "statement_timeout_s" in caught.value.hint
        with pytest.raises(SourceStatementTimeoutError):
            value_of(session, "SELECT pg_sleep(5)")
        assert value_of(session, "SELECT 1") == "1"


def test_lock_timeout(any_postgres):
    any_postgres.execute("CREATE TABLE t (a int)")
    with opened(any_postgres, lock_timeout_s=0.2) as session, any_postgres.connect() as other:
        columns = session.columns(T, ColumnRules())
        other.execute("BEGIN; LOCK TABLE t")
        with pytest.raises(SourceUnavailableError, match="lock") as caught:
            session.read(ReadRequest(T, columns))
        assert "lock_timeout_s" in caught.value.hint


def test_a_value_that_fails_on_the_server_is_not_shown(any_postgres):
    any_postgres.execute("CREATE TABLE t (a text); INSERT INTO t VALUES ('4111111111111111x')")
    query = Relation(query="SELECT a::bigint AS a FROM t")
    with opened(any_postgres) as session, pytest.raises(SourceQueryError) as caught:
        list(stream_of(session, query))
    assert "4111" not in f"{caught.value} {caught.value.hint} {caught.value.context}"


def test_every_error_of_a_dead_connection_is_ours(any_postgres):
    with opened(any_postgres) as session:
        pid = value_of(session, "SELECT pg_backend_pid()")
        any_postgres.execute(f"SELECT pg_terminate_backend({pid})", admin=True)
        with pytest.raises(SourceInterruptedError):
            session.ping()
        with pytest.raises(SourceError):
            session.columns(T, ColumnRules())
        session.cancel()
