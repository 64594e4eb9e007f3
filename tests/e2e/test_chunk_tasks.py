"""Chunk tasks: the same parts from threads and from processes, from JSON and in any order."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import psutil
import psycopg
import pytest

from rivet.errors import RefusedError, RivetError
from rivet.execution.pool.processes import COMMAND, ProcessWorkers, WorkerProcess
from rivet.execution.run.commit import record
from rivet.execution.worker.taskjson import result_from_json, task_to_json
from support.place import RUN, Place

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.execution.worker.contract import ChunkTask

FEW, MANY = 60, 10_000


@pytest.fixture
def sqlite(tmp_path):
    """A table of one row per key in a SQLite file, to be cut into as many chunks as are wanted."""
    path = tmp_path / "t.db"

    def made(folder, rows):
        if not path.exists():
            with closing(sqlite3.connect(path)) as base, base:
                base.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
                base.executemany("INSERT INTO t VALUES (?, ?)", ((i, f"n{i}") for i in range(rows)))
        keys = {"mode": "chunked", "chunk_column": "id", "chunk_size": 1, "consistency": "chunk"}
        return Place(tmp_path / folder, {"type": "sqlite", "path": str(path)}, keys)

    return made


class Coordinator:
    """Stands in for the workers of a run: is handed a task and the state, and fails the run."""

    is_cancelled = False

    def cancel_all(self):
        pass

    def __init__(self, body, place):
        self._body, self._place = body, place

    def run(self, task, _channel):
        self._body(task, self._place.state)
        msg = "enough"
        raise RivetError(msg)


def coordinate(place, body):
    """Begin a run, let `body` claim and record its chunks, and have `--resume` finish it."""
    report = place.run(lambda _: Coordinator(body, place))
    assert report.failure.message == "enough", report.failure
    report = place.run(resume=True)
    assert report.status == "success", report.failure


def claimed(state, template):
    """Claim every chunk that is left; return a task each."""
    claims = [state.claim(RUN, "t", chunk) for chunk in state.chunks(RUN, is_incomplete=True)]
    return [replace(template, claim=claim) for claim in claims]


def run_elsewhere(tasks: list[ChunkTask], folder: Path) -> list[list[str]]:
    """Run tasks in a fresh interpreter that has nothing but them; return its lines of each."""
    sent = folder / "tasks.jsonl"
    sent.write_text("".join(task_to_json(task) + "\n" for task in tasks))
    with sent.open() as lines:
        ran = subprocess.run(
            COMMAND,
            stdin=lines,
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]},
            cwd="/",
        )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told: list[list[str]] = [[]]
    for line in ran.stdout.splitlines():
        told[-1].append(line)
        if line.startswith(("result ", "failure ")):
            told.append([])
    return told[:-1]


def same_in_any_order(sqlite, tmp_path, count):
    threads, place = sqlite("threads", count), sqlite("elsewhere", count)
    assert threads.run().status == "success"
    rng = random.Random(7)

    def body(template, state):
        tasks = claimed(state, template)
        assert len(tasks) == count
        rng.shuffle(tasks)
        told = list(zip(tasks, run_elsewhere(tasks, tmp_path), strict=True))
        rng.shuffle(told)
        for task, lines in told:
            what, _, body = lines[-1].partition(" ")
            assert what == "result", body
            result = result_from_json(body, task)
            seen = result.observations.to_json()
            record(task.claim, result.stored, seen, state, lambda _: None)

    coordinate(place, body)
    return threads.parts(), place.parts()


def test_tasks_run_elsewhere_and_recorded_in_any_order_give_the_same_parts(sqlite, tmp_path):
    one, other = same_in_any_order(sqlite, tmp_path, FEW)
    assert one == other


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_tasks_do_as_well(sqlite, tmp_path):
    one, other = same_in_any_order(sqlite, tmp_path, MANY)
    assert len(one) == MANY
    assert one == other


def test_a_task_that_is_run_twice_is_recorded_once(sqlite, tmp_path):
    place = sqlite("twice", 3)

    def body(template, state):
        first, again = claimed(state, template), claimed(state, template)
        told = run_elsewhere([*first, *again, again[0]], tmp_path)
        # Under one claim the names are taken the second time.
        what, _, failure = told.pop()[-1].partition(" ")
        assert (what, json.loads(failure)["kind"]) == ("failure", "ObjectExistsError")
        results = [
            result_from_json(lines[-1].removeprefix("result "), task)
            for task, lines in zip([*first, *again], told, strict=True)
        ]
        assert len({part.name for result in results for part in result.stored}) == 6
        for task, result in zip(first, results[:3], strict=True):
            with pytest.raises(RefusedError):
                record(task.claim, result.stored, None, state, lambda _: None)
        for task, result in zip(again, results[3:], strict=True):
            record(task.claim, result.stored, None, state, lambda _: None)
            with pytest.raises(RefusedError):
                record(task.claim, result.stored, None, state, lambda _: None)

    coordinate(place, body)
    assert len(place.parts()) == 3
    rows = f"SELECT count(*), sum(id) FROM read_parquet({place.files()})"
    assert duckdb.sql(rows).fetchall() == [(3, 3)]


@pytest.mark.parametrize("consistency", ["chunk", "run"])
def test_processes_give_the_parts_that_threads_give(any_postgres, tmp_path, consistency):
    postgres = any_postgres
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY, n numeric(9,2), d timestamptz, j jsonb)")
    postgres.execute(
        "INSERT INTO t SELECT i, i / 7.0, to_timestamp(i * 1e5), '{\"a\": [1]}'"
        " FROM generate_series(1, 500) i"
    )
    source = {"type": "postgresql", "url_env": "SHOP", "tls": {"mode": "disable"}}
    keys = {
        "mode": "chunked",
        "chunk_column": "id",
        "chunk_size": 200,
        "parallel": 2,
        "consistency": consistency,
        "quality": {"unique_columns": ["n"], "row_count_min": 500},
        "meta_columns": {"row_hash": True},
    }
    env = {"SHOP": postgres.url}
    threads = Place(tmp_path / "threads", source, keys, env)
    processes = Place(tmp_path / "processes", source, keys, env)
    fresh = Place(tmp_path / "fresh", source, keys, env)
    report = threads.run()
    assert report.status == "success", report.failure
    with ProcessWorkers({}) as nobody:
        nowhere = Place(tmp_path / "nowhere", source, keys, env)
        refused = nowhere.run(lambda _: nobody).failure
        assert refused.code == "RIVET_CONFIG_SECRET_NOT_FOUND"
    for place, each in ((processes, None), (fresh, 1)):
        with ExitStack() as pools:

            def make(local, each=each, pools=pools):
                secrets = local.snapshots.sessions.source[1]
                return pools.enter_context(ProcessWorkers(secrets, tasks_each=each))

            found = place.run(make)
        assert found.status == "success", found.failure
        assert (found.rows, found.quality_passed) == (500, True)
        assert found.instants == report.instants == (3 if consistency == "chunk" else 1)
        assert found.bytes_read == report.bytes_read
        assert place.parts() == threads.parts()


def test_a_process_that_dies_before_it_has_stored_anything_is_replaced(sqlite):
    place = sqlite("dying", 2)

    class DyingOnce(ProcessWorkers):
        has_died = False

        def run(self, task, channel):
            if not self.has_died:
                self.has_died = True
                process = WorkerProcess({})
                process.cancel()
                self._idle.put((process, 0))
            return super().run(task, channel)

    with DyingOnce({}) as workers:
        report = place.run(lambda _: workers)
    assert (report.status, report.retries, report.rows) == ("success", 1, 2)


def test_processes_are_no_part_of_an_instant_that_they_cannot_enter(sqlite):
    place = sqlite("held", 2)
    del place.keys["consistency"]
    with ProcessWorkers({}) as workers:
        failure = place.run(lambda _: workers).failure
    assert failure.code == "RIVET_PLAN_UNSUPPORTED"
    assert failure.hint == "set `consistency: run`, where the engine can, or `consistency: chunk`"


@pytest.mark.parametrize("parallel", [1, 2])
def test_an_interrupt_ends_the_processes(any_postgres, tmp_path, parallel):
    """A task waits for a lock in another process; nothing of it is left."""
    any_postgres.execute("CREATE TABLE t (id int PRIMARY KEY)")
    any_postgres.execute("INSERT INTO t SELECT generate_series(1, 4)")
    source = {"type": "postgresql", "url_env": "SHOP", "tls": {"mode": "disable"}}
    keys = {"mode": "chunked", "chunk_column": "id", "chunk_size": 2, "parallel": parallel}
    place = Place(tmp_path / "run", source, keys | {"consistency": "chunk"}, {})
    place.env["SHOP"] = any_postgres.url
    holder = psycopg.connect(any_postgres.url)
    begun = []

    class Interrupted(ProcessWorkers):
        def run(self, task, channel):
            if not begun:
                begun.append(time.monotonic())
                holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
                threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
            return super().run(task, channel)

    pools = []

    def make(local):
        pools.append(Interrupted(local.snapshots.sessions.source[1]))
        return pools[-1]

    try:
        report = place.run(make)
        assert time.monotonic() - begun[0] < 12
    finally:
        holder.close()
        pools[0].__exit__(None, None, None)
    assert report.status == "interrupted"
    assert not [one for one in psutil.Process().children() if "taskprocess" in str(one.cmdline())]
