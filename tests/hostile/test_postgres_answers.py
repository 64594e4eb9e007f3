"""A PostgreSQL that lets one in and then misbehaves, at each step of an export.

A real server answers, and a proxy takes over at the step: every run ends in time, in bounded
memory, with one line that says why; SIGTERM ends every wait.
"""

from __future__ import annotations

import json

import psycopg
import pytest

from support.hostile import postgres as pg
from support.hostile.behaviours import BEHAVIOURS, EVERYWHERE, at, at_once
from support.hostile.fake import FakeServer
from support.hostile.measured import Measured

pytestmark = pytest.mark.live("postgresql")
LIMIT_S = 1
AT_ONCE = 12


@pytest.fixture(scope="module")
def shop(shared_any_postgres):
    shared_any_postgres.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, note text);"
        "INSERT INTO orders SELECT i, repeat('x', i % 50) FROM generate_series(1, 3000) i;"
        "ANALYZE orders"
    )
    return psycopg.conninfo.conninfo_to_dict(shared_any_postgres.url)


@pytest.fixture(scope="module")
def measured():
    with Measured() as runs:
        yield runs


def is_question(sql):
    return b"pg_catalog" in sql and not sql.startswith((b"BEGIN", b"COPY"))


def is_copy(sql):
    return sql.startswith(b"COPY")


STEPS = {
    "settings": (lambda sql: sql.startswith(b"BEGIN"), at_once, "silence notices error results"),
    "catalog": (is_question, at_once, " ".join(BEHAVIOURS)),
    "copy": (is_copy, at_once, "silence rows results error"),
    "data": (is_copy, lambda behave: at(b"d", 9, behave), " ".join(EVERYWHERE)),
    "done": (is_copy, lambda behave: at(b"c", 1, behave), "silence parameters"),
    "complete": (is_copy, lambda behave: at(b"C", 1, behave), "silence garbage notices announced"),
}
CASES = {
    f"{step}-{name}": (is_wanted, place(BEHAVIOURS[name]))
    for step, (is_wanted, place, names) in STEPS.items()
    for name in names.split()
}


def started(shop, measured, folder, case, *, read_timeout_s=LIMIT_S, **options):
    server = FakeServer(pg.Altering(int(shop["port"]), *case))
    folder.mkdir()
    source = {
        "type": "postgres",
        "host": "127.0.0.1",
        "port": server.port,
        "user": shop["user"],
        "password": shop["password"],
        "database": shop["dbname"],
        "tuning": {"read_timeout_s": read_timeout_s, "max_retries": 0, "max_value_mb": 64},
    }
    export = {"name": "orders", "table": "orders", "format": "csv"}
    export["destination"] = {"type": "local", "path": "out"}
    (folder / "rivet.yaml").write_text(json.dumps({"source": source, "exports": [export]}))
    return server, measured.start(folder, "run", "-c", "rivet.yaml", **options)


def judged(name, server, ending, codes=(1, 2, 3), limit_s=LIMIT_S + 25):
    with server:
        pass
    ending.check(name, codes, limit_s)


def test_every_step_of_an_export(shop, measured, tmp_path):
    cases = list(CASES.items())
    for first in range(0, len(cases), AT_ONCE):
        running = [
            (name, *started(shop, measured, tmp_path / name, case))
            for name, case in cases[first : first + AT_ONCE]
        ]
        for name, server, future in running:
            judged(name, server, future.result(timeout=60))


def test_results_without_end_fill_no_memory(shop, measured, tmp_path):
    """With time enough, what is small on the wire and fills fifty times as much."""
    running = []
    for step in ("settings", "catalog", "copy", "complete"):
        for name in ("empty", "results"):
            is_wanted, place, _ = STEPS[step]
            folder, case = tmp_path / f"{step}-{name}", (is_wanted, place(BEHAVIOURS[name]))
            running.append((name, *started(shop, measured, folder, case, read_timeout_s=60)))
    for name, server, future in running:
        ending = future.result(timeout=60)
        judged(name, server, ending)
        assert "more than 100 results" in ending.said, ending


def test_a_stop_ends_every_wait(shop, measured, tmp_path):
    running = []
    for step in STEPS:
        server, future = started(
            shop,
            measured,
            tmp_path / step,
            CASES[f"{step}-silence"],
            read_timeout_s=60,
            signal_after_s=3,
        )
        running.append((step, server, future))
    for step, server, future in running:
        ending = future.result(timeout=60)
        with server:
            pass
        assert ending.code == 143, f"{step}: {ending}"
        assert ending.seconds < 3 + 2 + 1, f"{step}: {ending}"
