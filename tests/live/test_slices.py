"""Tables read in slices: every row once, whatever lies between, and no statement that lasts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.span import Span, SpanKind
from rivet.redact import Secret
from rivet.sources import load_engine
from rivet.sources.base import PausesBetweenStatements
from support.asking import value_of

if TYPE_CHECKING:
    from rivet.sources.base import Session

T = Relation(table="t")
TINY = {"slice_s": 0.5, "slice_bytes": 20_000}


def opened(engine: str, database: Any) -> Session:
    address = SourceAddress(engine, url=Secret(database.url))
    return load_engine(engine).connect(address, SessionSettings())


def numbers(session: Session, *spans: Span, **options: Any) -> tuple[list[int], int]:
    """Return the values of `id` and how many statements they took."""
    columns = session.columns(T, ColumnRules())
    stream = session.read(ReadRequest(T, columns, spans=spans, **{**TINY, **options}))
    assert isinstance(stream, PausesBetweenStatements)
    statements = [0]
    stream.between = lambda: statements.append(0)
    found = [n for batch in stream for n in batch.column("id").to_pylist()]
    return sorted(found), len(statements)


LAYOUTS = {
    "a key": "CREATE TABLE t (id int PRIMARY KEY, pad text)",
    "no key": "CREATE TABLE t (id int, pad text)",
    "partitions": "CREATE TABLE t (id int, pad text) PARTITION BY HASH (id);"
    "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "heirs": "CREATE TABLE t (id int, pad text); CREATE TABLE u () INHERITS (t)",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks(any_postgres, layout):
    into = "u" if layout == "heirs" else "t"
    any_postgres.execute(
        f"{LAYOUTS[layout]};"
        f"INSERT INTO {into} SELECT i, repeat('x', i % 700) FROM generate_series(1, 5000) i;"
        "DELETE FROM t WHERE id BETWEEN 1000 AND 3000;"
        "UPDATE t SET pad = pad || 'y' WHERE id > 4000"
    )
    expected = [n for n in range(1, 5001) if not 1000 <= n <= 3000]
    with opened("postgresql", any_postgres) as session:
        found, statements = numbers(session)
        assert found == expected
        assert statements > 20
        half = Span(SpanKind.BLOCKS, (), ("50",), ("70",))
        rest = (Span(SpanKind.BLOCKS, (), None, ("50",)), Span(SpanKind.BLOCKS, (), ("70",)))
        parts = [numbers(session, span)[0] for span in (half, *rest)]
        assert sorted(n for part in parts for n in part) == expected
        assert numbers(session, slice_s=0.0) == (expected, 1)


def test_rows_that_come_while_slices_are_read_are_not_read(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (id int, pad text);"
        "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 3000) i"
    )
    with opened("postgresql", any_postgres) as session:
        columns = session.columns(T, ColumnRules())
        stream = session.read(ReadRequest(T, columns, **TINY))
        changes = iter(
            ["UPDATE t SET pad = 'short' WHERE id < 1500", "INSERT INTO t SELECT 9 FROM t"]
        )

        def between() -> None:
            for change in changes:
                any_postgres.execute(change)

        stream.between = between
        found = [n for batch in stream for n in batch.column("id").to_pylist()]
    assert sorted(found) == list(range(1, 3001))


def test_a_chunk_of_a_key_is_read_along_its_index(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, pad text);"
        "INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 60000) i"
    )
    with opened("postgresql", any_postgres) as session:
        span = Span(SpanKind.KEY, ("id",), ("5000",), ("55000",))
        found, statements = numbers(session, span, slice_bytes=1_000_000)
        assert found == list(range(5001, 55001))
        assert statements > 2


KEYS = {
    "number": ("id int PRIMARY KEY, pad text", "seq * seq % 1000003", ""),
    "far apart": ("id bigint PRIMARY KEY, pad text", "seq * 1000000007", ""),
    "negative": ("id bigint PRIMARY KEY, pad text", "CAST(seq AS SIGNED) - 9000", ""),
    "unsigned": ("id bigint unsigned PRIMARY KEY, pad text", "18446744073709551615 - seq", ""),
    "text": ("id int, k varchar(40) PRIMARY KEY, pad text", "seq, md5(seq)", "id, k, "),
    "two": ("id int, k int, PRIMARY KEY (k, id), pad text", "seq, seq % 3", "id, k, "),
}


@pytest.mark.parametrize("kind", KEYS)
def test_clustered_keys(mariadb, kind):
    columns, value, names = KEYS[kind]
    mariadb.execute(
        f"CREATE TABLE t ({columns});"
        f"INSERT INTO t ({names or 'id, '}pad) SELECT {value}, repeat('x', seq % 90)"
        " FROM seq_1_to_60000"
    )
    expected = sorted(int(n) for (n,) in mariadb.execute("SELECT id FROM t"))
    with opened("mysql", mariadb) as session:
        found, statements = numbers(session, slice_bytes=300_000)
        assert found == expected
        assert statements > 3
        assert numbers(session, slice_s=0.0) == (expected, 1)
    mariadb.execute("DELETE FROM t")
    with opened("mysql", mariadb) as session:
        assert numbers(session) == ([], 1)


def test_nothing_runs_while_it_waits_between_slices(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (id int, pad text);"
        "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 3000) i"
    )
    activity = (
        "SELECT state FROM pg_stat_activity WHERE application_name = 'rivet'"
        " AND datname = current_database()"
    )
    states: set[str] = set()
    with opened("postgresql", any_postgres) as session:
        stream = session.read(ReadRequest(T, session.columns(T, ColumnRules()), **TINY))
        stream.between = lambda: states.update(
            state
            for (state,) in any_postgres.execute(activity + " AND datname = current_database()")
        )
        assert sum(batch.num_rows for batch in stream) == 3000
    assert states == {"idle in transaction"}


def test_a_stream_that_is_closed_between_slices_ends(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (id int, pad text);"
        "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 9000) i"
    )
    with opened("postgresql", any_postgres) as session:
        stream = session.read(
            ReadRequest(T, session.columns(T, ColumnRules()), batch_rows=100, **TINY)
        )
        stream.between = lambda: time.sleep(0.05)
        closer = threading.Timer(0.2, stream.close)
        closer.start()
        assert sum(batch.num_rows for batch in stream) < 9000
        closer.join()
        assert value_of(session, "SELECT 1") == "1"


def test_a_query_is_fetched_in_portions_when_it_shall_be_gentle(any_postgres, tmp_path):
    any_postgres.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 4321) i")
    relation = Relation(query="SELECT id FROM t ORDER BY id -- all")
    statements: list[str] = []
    last = "SELECT query FROM pg_stat_activity WHERE application_name = 'rivet'"
    with opened("postgresql", any_postgres) as session:
        columns = session.columns(relation, ColumnRules())
        stream = session.read(ReadRequest(relation, columns, batch_rows=100, fetch_rows=1000))
        stream.between = lambda: statements.extend(
            text for (text,) in any_postgres.execute(f"{last} AND datname = current_database()")
        )
        found = [n for batch in stream for n in batch.column("id").to_pylist()]
        assert found == list(range(1, 4322))
        assert statements == ["FETCH FORWARD 1000 FROM rivet_rows"] * 4
        assert session.count(relation) == 4321
        again = session.read(ReadRequest(relation, columns, fetch_rows=1000))
        next(iter(again))
        again.close()
        assert value_of(session, "SELECT 1") == "1"
