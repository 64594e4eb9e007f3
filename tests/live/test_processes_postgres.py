"""Child processes and a real server: nothing runs on after a kill, and the budget is kept."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import psycopg
import pytest

LIMIT_S = 10

# One gives rows without end, one works without giving any, one waits.
QUERIES = {
    "stream": "SELECT i, repeat('x', 100) AS t FROM generate_series(1, 1000000000) AS i",
    "silent": "SELECT count(*) AS n FROM generate_series(1, 100000000000) AS i",
    "asleep": "SELECT 1 AS one, pg_sleep(600)::text AS slept",
}


def _configure(database, directory, exports, **top):
    body = {
        "source": {"type": "postgresql", "url": database.url, "tls": {"mode": "disable"}},
        "exports": [
            {
                "name": name,
                "format": "parquet",
                "destination": {"type": "local", "path": f"out/{name}"},
                "tuning": {"max_retries": 0},
                **what,
            }
            for name, what in exports.items()
        ],
        **top,
    }
    path = directory / "rivet.yaml"
    path.write_text(json.dumps(body))
    return path


class _Watcher:
    """Asks the server what runs in this database, on a connection of its own."""

    def __init__(self, url):
        self.connection = psycopg.connect(url, autocommit=True)

    def ask(self, condition):
        (count,) = self.connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            f" AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND {condition}"
        ).fetchone()
        return count

    @property
    def active(self):
        return self.ask("state = 'active'")

    def until(self, is_so, limit_s):
        began = time.monotonic()
        while not is_so(self):
            assert time.monotonic() - began < limit_s, "not in time"
            time.sleep(0.05)
        return time.monotonic() - began


@pytest.fixture
def watcher(any_postgres):
    made = _Watcher(any_postgres.url)
    yield made
    made.connection.close()


def _child_of(parent, export):
    for child in psutil.Process(parent).children(recursive=True):
        if child.cmdline()[-2:] == ["--export", export] or f"--export {export}" in " ".join(
            child.cmdline()
        ):
            return child
    raise AssertionError(export)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("way", ["--parallel-export-processes", "--parallel-exports"])
def test_a_parent_that_ends_leaves_no_statement(
    rivet, any_postgres, watcher, tmp_path, way, number
):
    config = _configure(
        any_postgres, tmp_path, {name: {"query": query} for name, query in QUERIES.items()}
    )
    process = rivet.start("run", "-c", config, way)
    watcher.until(lambda it: it.active == len(QUERIES), 30)
    os.kill(process.pid, number)
    watcher.until(lambda it: it.active == 0, LIMIT_S)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), stderr
    if number != signal.SIGKILL:
        assert "go on with: rivet run -c" in stderr
        assert stderr.count("interrupted") >= len(QUERIES)
    left = [one for one in psutil.process_iter(["cmdline"]) if str(config) in str(one.info)]
    assert left == []
    assert [*(tmp_path / "out").rglob("*.parquet")] == []


@pytest.mark.parametrize("name", QUERIES)
def test_a_child_that_is_killed_leaves_no_statement(rivet, any_postgres, watcher, tmp_path, name):
    exports = {name: {"query": QUERIES[name]}, "good": {"query": "SELECT 1 AS one"}}
    config = _configure(any_postgres, tmp_path, exports)
    process = rivet.start("run", "-c", config, "--parallel-export-processes", "--json")
    watcher.until(lambda it: it.active == 1, 30)
    time.sleep(0.2)
    _child_of(process.pid, name).kill()
    watcher.until(lambda it: it.active == 0, LIMIT_S)
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    verdicts = {one["export_name"]: one for one in json.loads(stdout)["per_export"]}
    assert process.returncode == 137, stderr
    assert verdicts[name]["status"] == "failed"
    assert "SIGKILL" in verdicts[name]["error_message"]
    assert verdicts["good"]["status"] == "success"


def test_connections_stay_within_the_budget(rivet, any_postgres, watcher, tmp_path):
    slow = {
        f"slow_{number}": {"query": f"SELECT {number} AS n, pg_sleep(0.3)::text AS slept"}
        for number in range(8)
    }
    config = _configure(any_postgres, tmp_path, slow, max_connections=3)
    process = rivet.start("run", "-c", config, "--parallel-export-processes=8")
    most = 0
    while process.poll() is None:
        most = max(most, watcher.ask("true"))
        time.sleep(0.01)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert most == 3


def test_the_largest_table_starts_first(rivet, any_postgres, tmp_path):
    sizes = {"small": 10, "large": 60_000, "medium": 6_000}
    for name, rows in sizes.items():
        any_postgres.execute(f"CREATE TABLE {name} AS SELECT i FROM generate_series(1, {rows}) i")
        any_postgres.execute(f"ANALYZE {name}")
    config = _configure(any_postgres, tmp_path, {name: {"table": name} for name in sizes})
    done = rivet("run", "-c", config, "--parallel-export-processes=1", "--progress", "json")
    events = [json.loads(line) for line in done.expect(0).stderr.splitlines()]
    launched = [event["export_name"] for event in events if event["type"] == "launched"]
    assert launched == ["large", "medium", "small"]


def test_forty_empty_tables(rivet, any_postgres, tmp_path):
    names = [f"empty_{number:02}" for number in range(40)]
    for name in names:
        any_postgres.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, note text)")
    config = _configure(any_postgres, tmp_path, {name: {"table": name} for name in names})
    done = rivet("run", "-c", config, "--parallel-export-processes", "--json").expect(0)
    assert done.json["success_count"] == 40
