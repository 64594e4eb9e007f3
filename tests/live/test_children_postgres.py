"""Exports side by side on a real PostgreSQL: what a death leaves on the server, and the budgets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from support.children import is_running, wait_until

GONE_WITHIN_S = 10
SLOW = {
    "endless": "SELECT generate_series(1, 1000000000)::text AS endless",
    "asleep": "SELECT 1 AS id, pg_sleep(600)::text AS asleep",
    "trickle": "SELECT i AS id, pg_sleep(0.05)::text AS trickle "
    "FROM generate_series(1, 100000) AS i",
    "crunching": "SELECT count(*) AS crunching FROM generate_series(1, 10) AS i, "
    "LATERAL (SELECT count(md5(j::text)) FROM "
    "(SELECT generate_series(i, 1000000000) AS j) AS inside) AS rest",
}
BUSY = (
    "SELECT query FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name = 'rivet' AND backend_type = 'client backend' AND state <> 'idle'"
)
CONNECTED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name = 'rivet'"
)


def _configure(rivet, database, exports, **top):
    """Write a configuration; `exports` is a query by name, or None for the table of that name."""
    body = {
        "source": {
            "type": "postgresql",
            "url": database.url,
            "tls": {"mode": "disable"},
            "tuning": {"max_retries": 0},
        },
        "exports": [
            {
                "name": name,
                **({"query": query} if query else {"table": f"public.{name}"}),
                "format": "csv",
                "destination": {"type": "local", "path": f"out/{name}"},
            }
            for name, query in exports.items()
        ],
        **top,
    }
    path = rivet.directory / "rivet.yaml"
    path.write_text(json.dumps(body))
    return path


class Onlooker:
    """Asks the server, over one connection, which of the slow statements still run."""

    def __init__(self, connection):
        self._connection = connection

    def busy(self):
        """Return the names of the slow exports that have a statement on the server."""
        queries = [query for (query,) in self._connection.execute(BUSY)]
        return {name for name in SLOW if any(name in query for query in queries)}

    def connected(self):
        return self._connection.execute(CONNECTED).fetchone()[0]

    def seconds_until(self, busy):
        """Return how long it took until only these were busy; fail after the limit."""
        began = time.monotonic()
        while (found := self.busy()) != busy:
            passed = time.monotonic() - began
            assert passed < GONE_WITHIN_S, f"still on the server: {sorted(found - busy)}"
            time.sleep(0.05)
        return time.monotonic() - began


@pytest.fixture
def onlooker(any_postgres):
    with psycopg.connect(any_postgres.admin_url, autocommit=True) as connection:
        yield Onlooker(connection)


class Running:
    """A run that is under way; `pids` are the processes its exports were launched in."""

    def __init__(self, process):
        self.process = process
        self.pids = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            event = json.loads(line)
            if event.get("type") == "launched":
                self.pids[event["export_name"]] = event["pid"]

    def wait(self):
        code = self.process.wait(30)
        self._reader.join(10)
        return code


@contextmanager
def _busy_run(rivet, config, onlooker, flag):
    """Start a run and hand it over when every slow statement is on the server."""
    with rivet.start(
        "run", "-c", config, flag, "--progress=json", stdout=subprocess.DEVNULL
    ) as process:
        running = Running(process)
        try:
            wait_until(lambda: onlooker.busy() == {*SLOW} or process.poll() is not None)
            assert process.poll() is None, "the run ended by itself"
            assert running.pids.keys() == SLOW.keys()
            yield running
        finally:
            process.kill()


def _tell(capsys, what, seconds):
    with capsys.disabled():
        sys.stdout.write(f"\n  {what}: nothing left on the server after {seconds:.2f} s\n")


@pytest.mark.parametrize(
    ("flag", "number"),
    [
        ("--parallel-export-processes=4", signal.SIGKILL),
        ("--parallel-export-processes=4", signal.SIGTERM),
        ("--parallel-export-processes=4", signal.SIGINT),
        ("--parallel-exports=4", signal.SIGTERM),
        ("--parallel-exports=4", signal.SIGKILL),
    ],
)
def test_a_dead_run_leaves_no_statement_on_the_server(
    rivet, any_postgres, onlooker, capsys, flag, number
):
    config = _configure(rivet, any_postgres, SLOW)
    with _busy_run(rivet, config, onlooker, flag) as running:
        running.process.send_signal(number)
        seconds = onlooker.seconds_until(set())
        code = running.wait()
        assert code == (-number if number == signal.SIGKILL else 128 + number)
        pids = {*running.pids.values()} - {running.process.pid}
        assert len(pids) == (4 if "processes" in flag else 0)
        wait_until(lambda: not any(is_running(pid) for pid in pids), GONE_WITHIN_S)
    _tell(capsys, f"{flag} and {signal.Signals(number).name}", seconds)


@pytest.mark.parametrize("name", SLOW)
def test_a_killed_child_leaves_no_statement_and_the_others_go_on(
    rivet, any_postgres, onlooker, capsys, name
):
    config = _configure(rivet, any_postgres, SLOW)
    with _busy_run(rivet, config, onlooker, "--parallel-export-processes=4") as running:
        os.kill(running.pids[name], signal.SIGKILL)
        seconds = onlooker.seconds_until({*SLOW} - {name})
        assert running.process.poll() is None
        running.process.terminate()
        onlooker.seconds_until(set())
        assert running.wait() == 128 + signal.SIGTERM
    _tell(capsys, f"the child of '{name}' and SIGKILL", seconds)


@pytest.mark.parametrize("flag", ["--parallel-export-processes=8", "--parallel-exports=8"])
def test_a_run_never_holds_more_connections_than_it_may(rivet, any_postgres, onlooker, flag):
    query = "SELECT i AS id, pg_sleep(0.02)::text AS nap FROM generate_series(1, 30) AS i"
    exports = dict.fromkeys([f"nap_{number}" for number in range(8)], query)
    config = _configure(rivet, any_postgres, exports, max_connections=3)
    summary = rivet.directory / "summary.json"
    samples = []
    with rivet.start(
        "run",
        "-c",
        config,
        flag,
        f"--summary-output={summary}",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            samples.append(onlooker.connected())
            time.sleep(0.005)
    assert process.returncode == 0
    assert max(samples) <= 3
    assert samples.count(3) > 10, "three at once is what was allowed"
    body = json.loads(summary.read_text())
    assert [entry["rows"] for entry in body["per_export"]] == [30] * 8


def _launched(stderr):
    events = [json.loads(line) for line in stderr.splitlines()]
    return [event["export_name"] for event in events if event["type"] == "launched"]


@pytest.mark.parametrize("flag", ["--parallel-export-processes=1", "--parallel-exports=1"])
def test_the_largest_tables_are_started_first(rivet, any_postgres, flag):
    rows = {"middle": 5_000, "small": 10, "large": 30_000, "nothing": 0}
    for name, count in rows.items():
        any_postgres.execute(
            f"CREATE TABLE {name} AS SELECT i AS id, repeat('x', 100) AS filler "
            f"FROM generate_series(1, {count}) AS i; ANALYZE {name}"
        )
    config = _configure(rivet, any_postgres, dict.fromkeys(rows))
    done = rivet("run", "-c", config, flag, "--progress=json", "--json").expect(0)
    assert _launched(done.stderr) == ["large", "middle", "small", "nothing"]
    reported = {entry["export_name"]: entry["rows"] for entry in done.json["per_export"]}
    assert reported == rows
    assert [*reported] == [*rows], "the report keeps the order of the configuration"


def test_a_source_that_cannot_be_asked_for_sizes_is_told_once_per_export(rivet, any_postgres):
    config = _configure(rivet, any_postgres, {"missing": None, "absent": None})
    flags = ("--parallel-export-processes", "--json")
    body = rivet("run", "-c", config, *flags).expect(1).json
    assert [entry["status"] for entry in body["per_export"]] == ["failed", "failed"]
    for entry in body["per_export"]:
        assert entry["export_name"] in entry["error_message"]


def test_forty_empty_tables_all_succeed(rivet, any_postgres, capsys):
    names = [f"empty_{number:02}" for number in range(40)]
    any_postgres.execute(
        ";".join(f"CREATE TABLE {name} (id bigint PRIMARY KEY, name text)" for name in names)
    )
    config = _configure(rivet, any_postgres, dict.fromkeys(names))
    began = time.monotonic()
    done = rivet("run", "-c", config, "--parallel-export-processes", "--json").expect(0)
    seconds = time.monotonic() - began
    entries = done.json["per_export"]
    assert [entry["export_name"] for entry in entries] == names
    assert {(entry["status"], entry["rows"]) for entry in entries} == {("success", 0)}
    with capsys.disabled():
        sys.stdout.write(f"\n  40 empty tables in processes: {seconds:.2f} s of wall\n")
