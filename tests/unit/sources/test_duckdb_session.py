"""A session on a DuckDB file: read-only, bounded, cancellable, clear about who holds the file."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from rivet.errors import (
    ConfigError,
    FormatError,
    SourceError,
    SourceInterruptedError,
    SourceUnavailableError,
    StalePlanError,
)
from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.sources.duckdb import connect
from support.asking import value_of

T = Relation(table="t")
SLOW = Relation(query="SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7")  # fmt: skip # noqa: E501
HOLDER = "import duckdb, sys\nc = duckdb.connect(sys.argv[1])\nprint('held', flush=True)\nsys.stdin.read()"  # fmt: skip # noqa: E501


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "source.duckdb"
    fill(path, "CREATE TABLE t AS SELECT range AS a, 'x' || range AS b FROM range(100000)")
    return path


def fill(path: Path, statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(statements)


def opened(path: Path):
    return connect(SourceAddress("duckdb", database=str(path)), SessionSettings())


def request(session, relation=T, rules=None, **more) -> ReadRequest:
    return ReadRequest(relation, session.columns(relation, rules or ColumnRules()), **more)


def test_the_file_stays_as_it_was(file):
    before = (file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir()))
    with opened(file) as session:
        assert sum(batch.num_rows for batch in session.read(request(session))) == 100_000
        assert session.count(T) == 100_000
        with pytest.raises(duckdb.Error):
            value_of(session, "INSERT INTO t VALUES (1, 'x') RETURNING a")
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(file.parent.iterdir())) == before


def test_batches_keep_their_limits(file):
    with opened(file) as session:
        sizes = [batch.num_rows for batch in session.read(request(session, batch_rows=999))]
        assert max(sizes) <= 999
        assert sum(sizes) == 100_000
        stream = session.read(request(session, batch_bytes=10_000))
        assert max(batch.nbytes for batch in stream) < 12_000
        assert stream.counters.rows == 100_000


def test_a_large_value_is_refused_by_its_row(tmp_path):
    path = tmp_path / "large.duckdb"
    fill(path, "CREATE TABLE t AS SELECT repeat('x', range * 1000) AS a FROM range(50)")
    with opened(path) as session, pytest.raises(FormatError, match=r"column 'a', row 22: .*20000"):
        list(session.read(request(session, max_value_bytes=20_000)))


def test_a_writer_holds_the_file(file):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline()
        with pytest.raises(SourceUnavailableError, match=f"process {holder.pid}") as caught:
            opened(file)
        assert caught.value.retryable
        assert caught.value.hint
    finally:
        holder.communicate()
    with opened(file) as session:
        assert session.count(T) == 100_000


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("nothing.duckdb", SourceError, "no database file at"),
        (".", SourceError, "is a folder"),
        ("text.duckdb", SourceError, "is not a DuckDB database file"),
        ("empty.duckdb", SourceError, "is not a DuckDB database file"),
        (":memory:", ConfigError, "names no database file"),
    ],
)
def test_what_is_no_database(tmp_path, name, error, match):
    (tmp_path / "text.duckdb").write_text("hello " * 10_000)
    (tmp_path / "empty.duckdb").touch()
    with pytest.raises(error, match=match) as caught:
        connect(SourceAddress("duckdb", database=name, base_dir=tmp_path), SessionSettings())
    assert caught.value.hint
    assert not (tmp_path / "nothing.duckdb").exists()


def test_a_statement_is_cancelled_from_another_thread(file):
    with opened(file) as session:
        timer = threading.Timer(0.3, session.cancel)
        began = time.monotonic()
        timer.start()
        with pytest.raises(SourceInterruptedError):
            list(session.read(request(session, SLOW)))
        timer.join()
        assert time.monotonic() - began < 10
    with opened(file) as session:
        assert value_of(session, "SELECT 1") == "1"


def test_closing_from_another_thread_ends_the_iteration(file):
    with opened(file) as session:
        stream = session.read(request(session, SLOW))
        timer = threading.Timer(0.3, stream.close)
        timer.start()
        assert list(stream) == []
        timer.join()


def test_closing_early_leaves_the_session_usable(file):
    with opened(file) as session:
        stream = session.read(request(session, batch_rows=100))
        next(iter(stream))
        stream.close()
        stream.close()
        assert session.count(T) == 100_000


def test_a_plan_that_is_stale_is_refused(file):
    with opened(file) as session:
        planned = request(session)
    fill(file, "ALTER TABLE t ALTER a TYPE varchar")
    with opened(file) as session, pytest.raises(StalePlanError, match="'a'"):
        session.read(planned)


def test_facts_sizes_and_texts(tmp_path):
    path = tmp_path / "facts.duckdb"
    fill(
        path,
        "CREATE TABLE k (a int, b int, PRIMARY KEY (b, a)); INSERT INTO k VALUES (1, 2);"
        "CREATE SCHEMA s; CREATE VIEW s.v AS SELECT 1 AS x",
    )
    with opened(path) as session:
        facts = session.facts(Relation(table="k"))
        assert (facts.key, facts.estimated_rows) == (("b", "a"), 1)
        view = Relation(schema="s", table="v")
        query = Relation(query="SELECT 1")
        assert session.facts(view).estimated_rows is None
        assert session.estimates([view, Relation(table="K"), query]) == (None, 1, None)
        session.ping()
        assert session.position() is None
        assert session.server_version().startswith("DuckDB ")


def test_masks_are_made_in_the_select(tmp_path):
    path = tmp_path / "masks.duckdb"
    fill(
        path,
        "CREATE TABLE t (a varchar, b blob, c int, d int[], e hugeint);"
        "INSERT INTO t VALUES ('abc', 'abc', 5, [1], 7), (NULL, NULL, NULL, NULL, NULL)",
    )
    masks = {"a": Mask.HASH, "b": Mask.HASH, "c": Mask.REDACT, "d": Mask.NULL, "e": Mask.NULL}
    with opened(path) as session:
        (batch,) = session.read(request(session, rules=ColumnRules(masks=masks)))
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert batch.to_pydict() == {
        "a": [digest, None],
        "b": [digest, None],
        "c": ["***", None],
        "d": [None, None],
        "e": [None, None],
    }
    assert str(batch.schema.field("d").type) == "list<item: int32>"


def test_without_the_package_the_command_that_installs_it_is_told():
    program = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from rivet.sources import load_engine\n"
        "try: load_engine('duckdb')\n"
        "except Exception as error: print(type(error).__name__, error.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "MissingExtraError run: pip install 'pyrivet[duckdb]'"
