"""Chunks side by side while others write: one instant, whatever is moved, dropped or killed."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import duckdb
import pymysql
import pytest

import rivet as library
from support.writers import connect, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKENS = 2_000
SPAN = 1_000_000


class Moving:
    """A table in which every token is exactly once in every instant, while its keys change."""

    def __init__(self, database: Any, engine: str, folder: Path) -> None:
        self.database, self.engine, self.folder = database, engine, folder
        self.keys: dict[str, Any] = {}
        self.moves = 0
        database.execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, token int NOT NULL UNIQUE, note varchar(99));"
            + self.numbered()
        )

    def numbered(self) -> str:
        if self.engine == "mysql":
            return f"INSERT INTO t SELECT seq * 500, seq, 'x' FROM seq_1_to_{TOKENS}"
        numbers = f"generate_series(1, {TOKENS}) g"
        return f"INSERT INTO t SELECT g * 500, g, 'x' FROM {numbers}; ANALYZE t"

    @contextmanager
    def movers(self, sql: str) -> Iterator[None]:
        """Run the statement over and over, with `{n}` a number that goes on."""
        stop = threading.Event()

        def move(first: int) -> None:
            with connect(self.engine, self.database) as connection:
                n = first
                while not stop.is_set():
                    n += 2
                    for statement in sql.format(n=n, token=n * 7919 % TOKENS + 1).split(";"):
                        with suppress(pymysql.err.OperationalError):  # a deadlock of the movers
                            run(connection, statement)
                    self.moves += 1

        threads = [threading.Thread(target=move, args=(first,)) for first in (0, 1)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def config(self) -> Path:
        path = self.folder / "rivet.yaml"
        kind = {"mysql": "mysql"}.get(self.engine, "postgresql")
        source = {"type": kind, "url": self.database.url, "tls": {"mode": "disable"}}
        export = {
            "name": "t",
            "table": "t",
            "mode": "chunked",
            "chunk_column": "id",
            "chunk_count": 8,
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            "tuning": {"retry_backoff_ms": 1},
            **self.keys,
        }
        path.write_text(json.dumps({"source": source, "exports": [export]}))
        return path

    def tokens(self) -> tuple[int, int]:
        """Rows and distinct tokens that a reader of the manifest has."""
        manifest = self.manifest
        files = [str(self.folder / "out" / part["path"]) for part in manifest["parts"]]
        sql = f"SELECT count(*), count(DISTINCT token) FROM read_parquet({files})"
        return duckdb.sql(sql).fetchall()[0]

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / "out" / "manifest.json").read_text())

    def instants(self) -> int:
        """How many instants the parts of the manifest name."""
        own = json.dumps(self.manifest["snapshot"])
        assert own != "null"
        found = [part["snapshot"] for part in self.manifest["parts"]]
        return len({json.dumps(one) if one else own for one in found})

    def run(self, act: Callable[[int], None] = lambda _: None, **options: Any) -> Any:
        """Run with `act` called after each chunk with how many are done; chunks take a while."""
        done = []

        def listen(event: Any) -> None:
            if event.type == "chunk_completed":
                done.append(event)
                act(len(done))
                time.sleep(0.05)

        return library.run(self.config(), check=False, on_event=listen, **options).exports[0]


@pytest.fixture(params=["postgresql", "mysql"])
def moving(request: pytest.FixtureRequest, tmp_path: Path) -> Moving:
    fixture = "any_postgres" if request.param == "postgresql" else "mariadb"
    return Moving(request.getfixturevalue(fixture), request.param, tmp_path)


# The key runs away, from every chunk to every other.
MOVE = "UPDATE t SET id = {n} * 104729 % 1000003 * 3 + 1 WHERE token = {token}"


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_rows_that_move_between_chunks_are_there_once(moving, workers):
    moving.keys = {"parallel": workers}
    with moving.movers(MOVE):
        report = moving.run()
    assert report.is_success, report.failure
    assert moving.moves > 20
    assert not any("at a time" in warning for warning in report.warnings)
    assert moving.tokens() == (TOKENS, TOKENS)
    assert moving.instants() == 1


def test_blocks_are_one_instant_too(any_postgres, tmp_path):
    moving = Moving(any_postgres, "postgresql", tmp_path)
    any_postgres.execute("UPDATE t SET note = repeat('y', 90)")
    moving.keys = {"parallel": 3, "chunk_count": 6}
    config = json.loads(moving.config().read_text())
    del config["exports"][0]["chunk_column"]
    any_postgres.execute("ALTER TABLE t DROP CONSTRAINT t_pkey, DROP CONSTRAINT t_token_key")
    path = moving.folder / "rivet.yaml"
    path.write_text(json.dumps(config))
    with moving.movers("UPDATE t SET note = 'moved {n}' WHERE token = {token}"):
        (report,) = library.run(path, check=False).exports
    assert report.is_success, report.failure
    assert moving.tokens() == (TOKENS, TOKENS)


# A key never changes its row; everything else does.
CHURN = (
    "UPDATE t SET note = 'n{n}' WHERE token = {token};"
    "INSERT INTO t VALUES ({n} * 1000 + 7, 1000000 + {n}, 'new')"
)


def test_a_run_that_is_resumed_under_writers_has_every_key_once(moving, rivet):
    moving.keys = {"parallel": 2}
    with moving.movers(CHURN):
        killed = rivet("run", "-c", moving.config(), env={"RIVET_FAULT": "kill@chunk_completed:3"})
        assert killed.code == -9
        time.sleep(0.2)
        rivet("run", "-c", moving.config(), "--resume", "--validate").expect(0)
    files = [str(moving.folder / "out" / part["path"]) for part in moving.manifest["parts"]]
    found = duckdb.sql(
        "SELECT count(*) - count(DISTINCT id), count(*) FILTER (token <= 2000),"
        f" count(DISTINCT id) FILTER (token <= 2000) FROM read_parquet({files})"
    ).fetchall()
    assert found == [(0, TOKENS, TOKENS)]
    assert moving.instants() == 2


DDL = {
    "postgresql": ("TRUNCATE t", "ALTER TABLE t ALTER note TYPE text", "VACUUM FULL t"),
    "mysql": ("TRUNCATE t", "ALTER TABLE t MODIFY note text", "ALTER TABLE t FORCE"),
}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_table_is_not_rewritten_under_a_run(moving, number):
    moving.keys = {"parallel": 2}
    statement = DDL[moving.engine][number]
    ended: list[float] = []

    def rewrite() -> None:
        with connect(moving.engine, moving.database) as connection:
            run(connection, statement)
        ended.append(time.monotonic())

    threads = []

    def act(done: int) -> None:
        if done == 1:
            threads.append(threading.Thread(target=rewrite))
            threads[0].start()
            time.sleep(0.2)

    report = moving.run(act)
    over = time.monotonic()
    threads[0].join()
    assert report.is_success, report.failure
    assert moving.tokens() == (TOKENS, TOKENS)
    assert ended[0] > over - 0.5  # it waited


def test_a_snapshot_is_not_held_for_ever(moving):
    moving.keys = {"parallel": 2, "tuning": {"max_snapshot_age_s": 1}}

    def act(done: int) -> None:
        time.sleep(0.6)

    report = moving.run(act)
    assert not report.is_success
    assert report.failure.code == "RIVET_SOURCE_SNAPSHOT_AGE"
    assert not (moving.folder / "out" / "manifest.json").exists()
    moving.database.execute("CREATE TABLE another (a int)")  # the log goes on
    moving.keys = {"parallel": 2}
    report = moving.run(resume=True)
    assert report.is_success, report.failure
    assert moving.tokens() == (TOKENS, TOKENS)
    assert moving.instants() == 2


OURS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE application_name = 'rivet'"
    " AND datname = current_database() AND state = 'idle in transaction'",
    "mysql": "SELECT id FROM information_schema.PROCESSLIST WHERE user = 'rivet'"
    " AND db = DATABASE() AND command = 'Sleep'",
}


def kill_idle(moving: Moving) -> int:
    killed = moving.database.execute(OURS[moving.engine])
    for (number,) in killed:
        if moving.engine == "mysql":
            moving.database.execute(f"KILL {number}")
        else:
            moving.database.execute(f"SELECT pg_terminate_backend({number})", admin=True)
    return len(killed)


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_holds_the_snapshot_is_killed(moving, workers):
    """No row is lost or doubled: the run goes on, in another instant where it must."""
    moving.keys = {"parallel": workers}
    report = moving.run(lambda done: kill_idle(moving) if done == 2 else None)
    if report.is_success:
        assert moving.tokens() == (TOKENS, TOKENS)
    else:
        assert not (moving.folder / "out" / "manifest.json").exists()
        assert moving.run(resume=True).is_success
        assert moving.tokens() == (TOKENS, TOKENS)


ALL = {
    "postgresql": OURS["postgresql"].replace(" AND state = 'idle in transaction'", ""),
    "mysql": OURS["mysql"].replace(" AND command = 'Sleep'", ""),
}


def test_a_run_whose_connections_are_all_cut_goes_on(moving, monkeypatch):
    """As after a restart of the server: nobody waits until the dead anchor is asked again."""
    monkeypatch.setitem(OURS, moving.engine, ALL[moving.engine])
    moving.keys = {"parallel": 3, "tuning": {"retry_backoff_ms": 20}}
    report = moving.run(lambda done: kill_idle(moving) if done == 2 else None)
    assert report.is_success, report.failure
    assert report.retries
    assert moving.tokens() == (TOKENS, TOKENS)
    assert report.instants > 1


def test_a_lost_instant_ends_a_run_whose_rows_may_have_moved(moving):
    moving.keys = {"chunk_column": "token", "chunk_count": 4}
    what = {"postgresql": "CONSTRAINT t_token_key", "mysql": "INDEX token"}[moving.engine]
    moving.database.execute(f"ALTER TABLE t DROP {what}")
    report = moving.run(lambda done: kill_idle(moving) if done == 1 else None)
    assert not report.is_success
    assert not (moving.folder / "out" / "manifest.json").exists()
    report = moving.run(resume=True)
    assert report.is_success
    assert any("starts over" in warning for warning in report.warnings)
    assert moving.tokens() == (TOKENS, TOKENS)
