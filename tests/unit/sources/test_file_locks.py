"""What this process opens and closes beside a database must not end the locks of its own readers.

POSIX locks belong to the process: closing any descriptor of a file drops all that it holds there.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import duckdb
import pytest

from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.sources import load_engine
from rivet.state.sqlite import SqliteDatabase

_ROWS = 100_000
_WRITER = {
    "sqlite": """
import sqlite3
one = sqlite3.connect(PATH, timeout=0.05)
one.execute("DELETE FROM t WHERE id % 2 = 0")
one.execute("UPDATE t SET id = id + 1000000")
one.commit()
one.execute("PRAGMA wal_checkpoint(TRUNCATE)")
one.executemany("INSERT INTO t VALUES (?)", [(-n,) for n in range(1, 20000)])
one.commit()
""",
    "duckdb": """
import duckdb
duckdb.connect(PATH).execute("CREATE TABLE other (id integer)")
""",
}


def _fill(path, engine, journal):
    if engine == "duckdb":
        with duckdb.connect(path) as connection:
            connection.execute(f"CREATE TABLE t AS SELECT range AS id FROM range({_ROWS})")
        return
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", ((n,) for n in range(_ROWS)))


def _write(path, engine):
    """Write from another process, and tell whether that could be done."""
    program = _WRITER[engine].replace("PATH", repr(str(path)))
    return subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("engine", "journal"), [("sqlite", "delete"), ("sqlite", "wal"), ("duckdb", None)]
)
def test_a_second_session_leaves_the_first_its_lock(tmp_path, engine, journal):
    path = tmp_path / "source.db"
    _fill(path, engine, journal)
    address = SourceAddress(engine, database=str(path), base_dir=tmp_path)
    module, settings, relation = load_engine(engine), SessionSettings(), Relation(table="t")
    with module.connect(address, settings) as first:
        columns = first.columns(relation, ColumnRules())
        request = ReadRequest(relation, columns, batch_rows=1000)
        stream = iter(first.read(request))
        taken = [next(stream)]
        module.check_address(address)
        with module.connect(address, settings) as second:
            second.columns(relation, ColumnRules())
        done = _write(path, engine)
        taken += stream
    if journal != "wal":  # there a writer need not wait, only leave what is being read
        assert "lock" in done.stderr
    ids = [value for batch in taken for value in batch.column(0).to_pylist()]
    assert sorted(ids) == list(range(_ROWS))


def test_a_second_store_leaves_the_first_its_lock(tmp_path):
    """A writer that is the last to leave removes the log, were it not for the lock of the first."""
    path = tmp_path / ".rivet" / "state.db"
    with closing(SqliteDatabase(path)) as first:
        first.create()
        with first.write() as statements:
            statements.change("CREATE TABLE pyrivet.more (id integer)")
        SqliteDatabase(path).close()
        program = f"import sqlite3; sqlite3.connect({str(path)!r}).execute('SELECT * FROM more')"
        subprocess.run([sys.executable, "-c", program], check=True)
        assert path.with_name("state.db-wal").stat().st_size
