"""What a DuckDB session needs beside the file: memory by its columns, and a folder of its own."""

from __future__ import annotations

import tempfile

import duckdb
import pytest

from rivet.errors import SourceQueryError
from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.sources.duckdb import connect
from support.asking import value_of

T = Relation(table="t")


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """The system's temporary folder, as all programs of a machine share it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def fill(path, statements):
    with duckdb.connect(str(path)) as connection:
        connection.execute(statements)
    return path


def opened(path):
    return connect(SourceAddress("duckdb", database=str(path)), SessionSettings())


def batches(session, relation=T):
    return session.read(ReadRequest(relation, session.columns(relation, ColumnRules())))


def test_a_view_reads_no_file_of_the_shared_folder(tmp_path, shared):
    (shared / "secret").write_text("another program's")
    (shared / "secret.csv").write_text("a\n1\n")
    path = fill(
        tmp_path / "source.duckdb",
        f"CREATE VIEW v AS SELECT content FROM read_text('{shared}/secret');"
        f"CREATE VIEW w AS SELECT * FROM glob('{shared}/*');"
        "CREATE TABLE t AS SELECT 1 AS a",
    )
    queries = [
        Relation(table="v"),
        Relation(query=f"SELECT * FROM '{shared}/secret.csv'"),
        Relation(query=f"SELECT * FROM read_text('{shared}/rivet-duckdb-x/../secret')"),
    ]
    with opened(path) as session:
        for relation in queries:
            with pytest.raises(SourceQueryError, match=r"(?i)permission|disabled"):
                list(batches(session, relation))
        names = Relation(table="w")
        with pytest.raises(SourceQueryError, match=r"(?i)permission|disabled"):
            list(batches(session, names))


def test_its_folder_is_its_own_and_goes_with_the_last_session(tmp_path, shared):
    path = fill(tmp_path / "source.duckdb", "CREATE TABLE t AS SELECT range AS a FROM range(9)")
    with opened(path) as first:
        (folder,) = shared.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        with opened(path) as second:
            assert [batch.num_rows for batch in batches(second)] == [9]
            assert list(shared.iterdir()) == [folder]
        assert [batch.num_rows for batch in batches(first)] == [9]
    assert list(shared.iterdir()) == []
    with opened(path) as again:
        assert again.count(T) == 9


def test_a_sort_spills_into_it(tmp_path, shared):
    path = fill(
        tmp_path / "source.duckdb",
        "CREATE TABLE t AS SELECT range AS a, md5(range::VARCHAR) AS b FROM range(600000)",
    )
    query = Relation(query="SELECT * FROM t ORDER BY b DESC, a")
    with opened(path) as session:
        stream = batches(session, query)
        session.connection.execute("SET memory_limit = '30MB'")
        assert sum(batch.num_rows for batch in stream) == 600_000
    assert list(shared.iterdir()) == []


_WIDE = ", ".join(f"(range * {place} + 7) % 90001 AS c{place}" for place in range(300))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("SELECT range AS id, repeat(md5(range::VARCHAR), 2048) AS a FROM range(2100)", 2100),
        ("SELECT encode(repeat(md5(range::VARCHAR), 2048)) AS a FROM range(2100)", 2100),
        ("SELECT [repeat(md5(range::VARCHAR), 1024), 'x'] AS a FROM range(2100)", 2100),
        ("SELECT CASE WHEN range = 5 THEN repeat('x', 50000000) END AS a FROM range(2100)", 2100),
        (f"SELECT {_WIDE} FROM range(130000)", 130_000),
    ],
    ids=["texts", "bytes", "lists", "one", "columns"],
)
def test_memory_is_sized_by_the_columns(tmp_path, table, rows):
    path = fill(tmp_path / "source.duckdb", f"CREATE TABLE t AS {table}")
    with opened(path) as session:
        assert sum(batch.num_rows for batch in batches(session)) == rows
        limit = value_of(session, "SELECT current_setting('memory_limit')")
        assert limit.endswith("MiB"), "a table that streams needs no gigabytes"
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (rows,)
