"""Sessions on real SQLite files: what they refuse, how they end, what they hold in memory."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from rivet.errors import (
    FormatError,
    RivetError,
    SourceAuthError,
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
    StalePlanError,
)
from rivet.model.columns import ColumnRules
from rivet.model.relation import Key, ReadRequest, Relation, TableFacts
from rivet.model.source import SessionSettings, SourceAddress
from rivet.sources import load_engine
from rivet.sources.abilities import ReportsVersion
from support.asking import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rivet.sources.sqlite.connect import SqliteSession

ENDLESS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r"
# One row at once, and then none for ever.
STUCK = (
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r WHERE i < 2"
)
T = Relation(table="t")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def connect(path: Path, **settings: Any) -> SqliteSession:
    address = SourceAddress("sqlite", database=str(path))
    return load_engine("sqlite").connect(address, SessionSettings(**settings))


def request(session: SqliteSession, relation: Relation = T, **bounds: Any) -> ReadRequest:
    return ReadRequest(relation, session.columns(relation, ColumnRules()), **bounds)


def read(path: Path, relation: Relation = T, **bounds: Any) -> list[pa.RecordBatch]:
    with connect(path) as session:
        return list(session.read(request(session, relation, **bounds)))


def fill(writer: sqlite3.Connection, rows: int) -> None:
    writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT)")
    writer.execute(
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < ?) "
        "INSERT INTO t SELECT i, 'row ' || i FROM r",
        (rows,),
    )


def test_a_missing_file_is_not_made(path: Path) -> None:
    with pytest.raises(SourceError, match="no database file at") as caught:
        connect(path)
    assert not caught.value.retryable
    assert caught.value.hint
    assert not path.exists()


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        connect(tmp_path)


def test_a_file_that_may_not_be_read(
    path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(writer, 1)

    def refuse(*_: Any, **__: Any) -> None:  # tests may run as root, whom no mode keeps out
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rivet.sources.files.check_regular", refuse)
    with pytest.raises(SourceAuthError):
        connect(path)


def test_another_file_or_an_encrypted_one_is_no_database(path: Path) -> None:
    path.write_bytes(b"\x8e" * 4096)
    with pytest.raises(SourceError, match="not a SQLite database, or is encrypted"):
        connect(path)


def test_a_damaged_database_is_a_clear_error(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 5000)
    content = bytearray(path.read_bytes())
    content[4096:16384] = b"\xff" * 12288
    path.write_bytes(content)
    with pytest.raises(SourceError, match="is damaged"):
        read(path)


def test_an_empty_file_is_a_database_without_tables(path: Path) -> None:
    path.touch()
    with connect(path) as session, pytest.raises(SourceQueryError) as caught:
        session.columns(T, ColumnRules())
    assert caught.value.hint == "the database has no tables"


def test_a_locked_database_is_worth_a_retry(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SourceUnavailableError, match="locked") as caught:
        connect(path, lock_timeout_s=0.05)
    assert caught.value.retryable


def test_nothing_can_be_written(path: Path, tmp_path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1)
    other = tmp_path / "other.db"
    with connect(path) as session:
        for sql in ("DELETE FROM t", "CREATE TABLE u (a)", "CREATE TEMP TABLE u (a)"):
            with pytest.raises(SourceError):
                value_of(session, sql)
        session.columns(Relation(query="SELECT 1 AS a"), ColumnRules())
        for sql in (f"ATTACH '{other}' AS other", "CREATE TEMP TABLE u (a)"):
            with pytest.raises(SourceError):
                value_of(session, sql)
    assert not other.exists()
    assert writer.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_one_read_is_one_instant_while_a_writer_goes_on(
    path: Path, writer: sqlite3.Connection
) -> None:
    writer.execute("PRAGMA journal_mode = WAL")
    fill(writer, 1000)
    with connect(path) as session:
        assert session.notes() == ()
        batches = iter(session.read(request(session, batch_rows=10)))
        rows = next(batches).num_rows
        writer.execute("DELETE FROM t WHERE id > 500")
        assert rows + sum(batch.num_rows for batch in batches) == 1000
        assert session.count(T) == 500


def test_a_read_can_leave_its_instant_to_a_count_and_to_the_next_read(
    path: Path, writer: sqlite3.Connection
) -> None:
    writer.execute("PRAGMA journal_mode = WAL")
    fill(writer, 1000)
    with connect(path) as session:
        list(session.read(request(session)))
        assert not session.has_snapshot
        held = request(session, holds_snapshot=True)
        list(session.read(held))
        writer.execute("DELETE FROM t WHERE id > 500")
        assert session.has_snapshot
        assert session.count(T) == 1000
        assert sum(batch.num_rows for batch in session.read(held)) == 1000


def test_a_rollback_journal_is_noted(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1)
    with connect(path) as session:
        assert "not in WAL mode" in session.notes()[0]


def test_a_closed_stream_lets_writers_go_on(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1000)
    with connect(path) as session:
        stream = session.read(request(session, batch_rows=10))
        next(iter(stream))
        stream.close()
        stream.close()
        writer.execute("DELETE FROM t")
        assert list(session.read(request(session))) == []


def test_batches_are_bounded_by_rows(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1001)
    batches = read(path, batch_rows=100)
    assert [batch.num_rows for batch in batches] == [100] * 10 + [1]
    assert pa.Table.from_batches(batches)["id"].to_pylist() == list(range(1, 1002))


def test_batches_are_bounded_by_bytes(path: Path, writer: sqlite3.Connection) -> None:
    writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)")
    sizes = [10] * 300 + [200_000] * 20 + [10] * 300
    writer.executemany("INSERT INTO t (b) VALUES (zeroblob(?))", [(size,) for size in sizes])
    batches = read(path, batch_bytes=1_000_000)
    assert [len(v) for b in batches for v in b.column("b").to_pylist()] == sizes
    assert max(batch.nbytes for batch in batches[1:]) < 1_500_000


def test_a_value_above_the_limit_is_named(path: Path, writer: sqlite3.Connection) -> None:
    writer.execute("CREATE TABLE t (s TEXT)")
    writer.executemany("INSERT INTO t VALUES (?)", [("é" * 50,), ("é" * 51,)])
    assert sum(batch.num_rows for batch in read(path, max_value_bytes=102)) == 2
    with pytest.raises(FormatError, match="column 's', row 2: a value of 102 bytes"):
        read(path, max_value_bytes=100)


def test_rows_are_counted_across_batches(path: Path, writer: sqlite3.Connection) -> None:
    writer.execute("CREATE TABLE t (a INTEGER)")
    writer.executemany(
        "INSERT INTO t VALUES (?)", [(i if i != 777 else "bad",) for i in range(1, 1000)]
    )
    with pytest.raises(FormatError, match="column 'a', row 777:"):
        read(path, batch_rows=100)


@pytest.mark.parametrize(
    ("declared", "value"),
    [("INTEGER", "cell-secret"), ("DATE", "2023-02-30"), ("DECIMAL(4,1)", "cell-secret"),
     ("TIMESTAMP", "2023-13-13 01:02:03"), ("UUID", "cell-secret"),
     ("TEXT", b"cell-secret\xff")],
)  # fmt: skip
def test_no_error_shows_a_value(
    path: Path, writer: sqlite3.Connection, declared: str, value: str | bytes
) -> None:
    writer.execute(f"CREATE TABLE t (a {declared})")
    placeholder = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
    writer.execute(f"INSERT INTO t VALUES ({placeholder})", (value,))
    with pytest.raises(FormatError) as caught:
        read(path)
    told = "".join(traceback.format_exception(caught.value)) + str(caught.value.to_json())
    assert "cell-secret" not in told
    assert str(value) not in told


def test_a_scalar_that_is_not_utf8_is_not_shown(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1)
    with connect(path) as session, pytest.raises(SourceError, match="not valid UTF-8") as caught:
        value_of(session, "SELECT CAST(x'736563726574ff' AS TEXT)")
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_columns_that_changed_since_the_plan(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1)
    with connect(path) as session:
        planned = request(session)
        writer.execute("ALTER TABLE t ADD COLUMN more INT")
        assert sum(batch.num_rows for batch in session.read(planned)) == 1
        writer.execute("ALTER TABLE t RENAME COLUMN s TO s2")
        with pytest.raises(StalePlanError, match="'s'"):
            session.read(planned)
        writer.execute("DROP TABLE t")
        with pytest.raises(SourceQueryError):
            session.read(planned)


def test_facts_come_from_the_catalog(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 100)
    writer.execute("CREATE TABLE pair (a INT, b INT, c INT, PRIMARY KEY (c, a))")
    with connect(path) as session:
        key = Key(("id",), is_integer=True)
        assert session.facts(T) == TableFacts(None, None, ("id",), (key,), ("id",))
        pair = session.facts(Relation(table="PAIR"))
        assert (pair.key, pair.keys, pair.indexed) == (("c", "a"), (), ("c",))  # it may hold NULL
        assert session.facts(Relation(query="SELECT 1")) == TableFacts()
    writer.execute("CREATE INDEX some ON t (s) WHERE id < 5")
    writer.execute("CREATE INDEX every ON t (s)")
    writer.execute("ANALYZE")
    with connect(path) as session:
        assert session.facts(T).estimated_rows == 100


def test_counts_and_scalars(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 7)
    with connect(path) as session:
        assert session.count(T) == 7
        assert session.count(Relation(schema="main", table="t")) == 7
        assert session.count(Relation(query="SELECT id FROM t WHERE id > 3 -- end")) == 4
        session.ping()
        with pytest.raises(SourceQueryError):
            session.count(Relation(query="SELECT missing FROM t"))
        with pytest.raises(SourceQueryError, match="only the schema 'main'"):
            session.count(Relation(schema="other", table="t"))
        assert session.position() is None
        assert isinstance(session, ReportsVersion)
        assert session.server_version().startswith("SQLite 3.")


def test_cancel_stops_a_statement_from_another_thread(
    path: Path, writer: sqlite3.Connection
) -> None:
    fill(writer, 1)
    with connect(path) as session:
        timer = threading.Timer(0.2, session.cancel)
        timer.start()
        with pytest.raises(SourceInterruptedError, match="cancelled"):
            value_of(session, ENDLESS)
        timer.join()
        assert value_of(session, "SELECT 1") == "1"


def test_the_statement_timeout_holds(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1)
    begun = time.monotonic()
    with connect(path, statement_timeout_s=0.2) as session:
        with pytest.raises(SourceStatementTimeoutError, match=r"0\.2 s") as caught:
            value_of(session, ENDLESS)
        assert not caught.value.retryable
        with pytest.raises(SourceStatementTimeoutError):
            list(session.read(request(session, Relation(query=ENDLESS))))
        assert value_of(session, "SELECT 1") == "1"
    assert time.monotonic() - begun < 5


def test_time_away_from_a_stream_is_not_a_statement(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 100)
    with connect(path, statement_timeout_s=0.3) as session:
        stream = session.read(request(session, batch_rows=10))
        batches = iter(stream)
        next(batches)
        time.sleep(0.4)
        assert sum(batch.num_rows for batch in batches) == 90
        assert stream.counters.longest_statement_s < 0.3


def test_errors_are_rivets_own_and_carry_a_hint(path: Path, writer: sqlite3.Connection) -> None:
    fill(writer, 1)
    with connect(path) as session:
        for query in ("SELEC 1", "SELECT * FROM missing", "", "SELECT (1"):
            with pytest.raises(RivetError) as caught:
                session.columns(Relation(query=query), ColumnRules())
            assert caught.value.hint, query


def test_closing_from_another_thread_ends_a_running_statement(
    path: Path, writer: sqlite3.Connection
) -> None:
    fill(writer, 1)
    caught: list[BaseException] = []

    def read_on() -> None:
        try:
            list(stream)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not be there
            caught.append(error)

    with connect(path) as session:
        stream = session.read(request(session, Relation(query=STUCK)))
        reader = threading.Thread(target=read_on, daemon=True)
        reader.start()
        time.sleep(0.2)  # so that the statement is at work
        begun = time.monotonic()
        stream.close()
        reader.join(5)
        assert not reader.is_alive()
        assert time.monotonic() - begun < 5
        assert not caught
        assert value_of(session, "SELECT 1") == "1"
