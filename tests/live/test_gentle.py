"""A gentle guest: it steps down under pressure, keeps within connections, and tells what it did."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import pytest

import rivet as library
from support.proxy import Proxy
from support.writers import connect, run

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 4_000
NUMBERS = {
    "postgresql": f"SELECT g, repeat('x', 50) FROM generate_series(1, {ROWS}) g",
    "mysql": f"SELECT seq, repeat('x', 50) FROM seq_1_to_{ROWS}",
}


class Guest:
    """A table and an export of it in chunks, through a proxy or not."""

    def __init__(self, engine: str, database: Any, folder: Path) -> None:
        self.engine, self.database, self.folder = engine, database, folder
        self.url = database.url
        self.keys: dict[str, Any] = {"parallel": 4}
        self.tuning: dict[str, Any] = {}
        database.execute(
            f"CREATE TABLE t (id int PRIMARY KEY, pad varchar(99)); INSERT INTO t {NUMBERS[engine]}"
        )

    def run(self, on_event: Any = None, **options: Any) -> Any:
        source = {"type": self.engine, "url": self.url, "tls": {"mode": "disable"}}
        export = {
            "name": "t",
            "table": "t",
            "mode": "chunked",
            "chunk_column": "id",
            "chunk_count": 16,
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            "tuning": {"retry_backoff_ms": 1, **self.tuning},
            **self.keys,
        }
        path = self.folder / "rivet.yaml"
        path.write_text(json.dumps({"source": source, "exports": [export]}))
        return library.run(path, check=False, on_event=on_event, **options).exports[0]

    def count(self) -> tuple[int, int]:
        manifest = json.loads((self.folder / "out" / "manifest.json").read_text())
        files = [str(self.folder / "out" / part["path"]) for part in manifest["parts"]]
        sql = f"SELECT count(*), count(DISTINCT id) FROM read_parquet({files})"
        return duckdb.sql(sql).fetchall()[0]


@pytest.fixture(params=["postgresql", "mysql"])
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Guest:
    fixture = "any_postgres" if request.param == "postgresql" else "mariadb"
    return Guest(request.param, request.getfixturevalue(fixture), tmp_path)


def test_it_steps_down_under_lag_and_up_again(guest, monkeypatch):
    monkeypatch.setenv("RIVET_GOVERNOR_INTERVAL_MS", "30")
    guest.tuning = {"adaptive": True, "min_parallel": 2}
    steps = []
    address = urlsplit(guest.database.url)
    with Proxy(address.hostname, address.port) as proxy:
        guest.url = proxy.rewrite(guest.database.url)

        def listen(event: Any) -> None:
            if event.type == "chunk_started":
                time.sleep(0.05)
            if event.type == "chunk_completed":
                proxy.delay_s = 0.15 if 2 <= event.chunk_index < 9 else 0.0
            if event.type == "parallelism_adjusted":
                steps.append((event.before, event.after, event.reason))

        report = guest.run(listen)
    assert report.is_success, report.failure
    assert guest.count() == (ROWS, ROWS)
    assert (4, 3) in [step[:2] for step in steps]
    assert min(after for _, after, _ in steps) >= 2
    assert any("took" in reason for _, _, reason in steps)


def test_it_stays_within_the_connections_of_the_server(guest):
    sql = {
        "postgresql": "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int - count(*)::int"
        " FROM pg_stat_activity WHERE backend_type = 'client backend'",
        "mysql": "SELECT @@max_connections - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"
        " WHERE VARIABLE_NAME = 'Threads_connected'",
    }[guest.engine]
    free = int(float(guest.database.execute(sql)[0][0]))
    others = [connect(guest.engine, guest.database) for _ in range(free - 5)]
    try:
        guest.keys = {"parallel": 16}
        report = guest.run()
    finally:
        for other in others:
            other.close()
    assert report.is_success, report.failure
    assert any("connections for" in warning for warning in report.warnings)
    assert guest.count() == (ROWS, ROWS)


def test_it_tells_what_it_did(guest):
    report = guest.run()
    assert report.is_success, report.failure
    harm = dict(report.harm)
    assert harm["rows_returned" if guest.engine == "postgresql" else "rows_read"] >= ROWS
    assert report.instants == 1
    assert 0 < report.longest_statement_s < 0.75


# Retry, by what kind of failure it is.


def kill_active(guest: Guest) -> None:
    if guest.engine == "postgresql":
        guest.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'rivet' AND datname = current_database()",
            admin=True,
        )
        return
    sql = "SELECT id FROM information_schema.PROCESSLIST WHERE user = 'rivet' AND db = DATABASE()"
    for (number,) in guest.database.execute(sql):
        guest.database.execute(f"KILL {number}")


def test_a_lost_connection_is_tried_again(guest):
    guest.keys = {"parallel": 1}
    killed = []

    def listen(event: Any) -> None:
        if event.type == "chunk_started" and event.chunk_index == 3 and not killed:
            killed.append(event)
            kill_active(guest)

    report = guest.run(listen)
    assert report.is_success, report.failure
    assert report.retries == 1
    assert report.instants == 2
    assert guest.count() == (ROWS, ROWS)


def test_a_lock_that_is_held_is_tried_again(guest):
    guest.tuning = {"lock_timeout_s": 1, "max_retries": 5}
    lock = {
        "postgresql": "LOCK TABLE t IN ACCESS EXCLUSIVE MODE",
        "mysql": "LOCK TABLES t WRITE",
    }[guest.engine]
    guest.keys = {"parallel": 1, "consistency": "chunk"}
    held = connect(guest.engine, guest.database, autocommit=False)
    seen = []

    def listen(event: Any) -> None:
        if event.type == "chunk_started" and event.chunk_index == 0 and not seen:
            run(held, lock)
        if event.type == "retry_attempted":
            seen.append(event)
            held.close()

    report = guest.run(listen)
    assert report.is_success, report.failure
    assert len(seen) == 1
    assert guest.count() == (ROWS, ROWS)


def test_a_failure_that_stays_is_not_tried_again(guest):
    guest.keys = {"parallel": 1, "consistency": "chunk"}

    def listen(event: Any) -> None:
        if event.type == "chunk_completed" and event.chunk_index == 1:
            guest.database.execute("DROP TABLE t")

    report = guest.run(listen)
    assert not report.is_success
    assert report.retries == 0
    assert not report.failure.retryable
