"""The server of a shared state lets one in and then misbehaves; a stop ends every wait for it.

A real server answers, and a proxy takes over at a step of a run from a small SQLite file.
"""

import sqlite3
import threading
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from rivet.errors import StateError
from rivet.state.postgres import PostgresDatabase
from rivet.state.store import open_store
from support.hostile import postgres as pg
from support.hostile.behaviours import BEHAVIOURS, at_once
from support.hostile.fake import FakeServer
from support.hostile.measured import Measured

pytestmark = pytest.mark.live("postgresql")
AT_ONCE = 8
LIMIT_S = 25
STOPPED_S = 2.0
MOST_MB = 250
CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: %s, table: t, format: csv, destination: {type: local, path: out}}
"""
EXPORT = """
- {name: %s, table: t, format: csv, destination: {type: local, path: out%d}}
"""
SIDE_BY_SIDE = 3
ALL_WAIT_S = 1.0
BUSY_S = 1.5  # all that run side by side end on two cores


# Connections that are let in where the others are not answered at all.
LET_IN = {"connecting": 0, "connecting-later": 1}
STEPS = {
    "begin": (b"SET TRANSACTION", "garbage notices announced"),
    "parts": (b"pyrivet.parts", "empty"),
    "shape": (b"format_type", "garbage close error row rows columns results empty"),
    "lock": (b"pg_try_advisory", "garbage notifications row rows"),
    "insert": (b"INSERT INTO pyrivet.runs", "garbage announced results"),
    "commit": (b"COMMIT", "close error announced"),
}
CASES = [(step, name) for step, (_, names) in STEPS.items() for name in names.split()]


@pytest.fixture(scope="module")
def measured():
    with Measured() as runs:
        yield runs


@pytest.fixture(scope="module")
def state(shared_any_postgres, tmp_path_factory):
    with open_store(tmp_path_factory.mktemp("made"), url=shared_any_postgres.url):
        return urlsplit(shared_any_postgres.url)


def serve(state, step, behaviour):
    """Misbehave at a step, and with every later statement on any connection."""
    word, _ = STEPS.get(step, (b"nothing", ""))
    has_begun = threading.Event()

    def is_wanted(sql):
        if word in sql:
            has_begun.set()
        return has_begun.is_set()

    altering = pg.Altering(state.port, is_wanted, at_once(behaviour))

    def script(peer):
        if peer.number > LET_IN.get(step, peer.number):
            has_begun.set()
            behaviour(peer)
        altering(peer)

    server = FakeServer(script)
    user = state.netloc.rpartition("@")[0]
    url = state._replace(netloc=f"{user}@127.0.0.1:{server.port}").geturl()
    return server, url, has_begun


def started(state, measured, folder, step, name, *, is_stopped=False, flags=()):
    folder.mkdir()
    with closing(sqlite3.connect(folder / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
    config = CONFIG % folder.name
    for number in range(SIDE_BY_SIDE if flags else 0):
        config += EXPORT % (f"{folder.name}-{number}", number)
    (folder / "rivet.yaml").write_text(config)
    server, url, has_begun = serve(state, step, BEHAVIOURS[name])
    # Side by side, all have come to wait by then.
    after_s = ALL_WAIT_S if flags else 0.0
    told = {"signal_after_s": after_s, "signal_when": has_begun} if is_stopped else {}
    future = measured.start(folder, "run", "-c", "rivet.yaml", *flags, RIVET_STATE_URL=url, **told)
    return server, future, has_begun


def test_every_step_of_a_run(state, measured, tmp_path):
    for first in range(0, len(CASES), AT_ONCE):
        running = [
            (f"{step}-{name}", *started(state, measured, tmp_path / f"{step}-{name}", step, name))
            for step, name in CASES[first : first + AT_ONCE]
        ]
        for name, server, future, _ in running:
            ending = future.result(timeout=60)
            with server:
                pass
            ending.check(name, (1, 2, 5), LIMIT_S)
            assert "[RIVET_STATE_" in ending.said, ending
            assert ending.peak_mb < MOST_MB, ending


def test_a_list_without_end(state, measured, tmp_path):
    folder = tmp_path / "t"
    server, future, _ = started(state, measured, folder, "none", "silence")
    with server:
        assert future.result(timeout=60).code == 0
    server, url, _ = serve(state, "parts", BEHAVIOURS["rows"])
    with server:
        ending = measured.start(folder, "files", "-c", "rivet.yaml", RIVET_STATE_URL=url).result(
            timeout=60
        )
    ending.check("files", (1,), LIMIT_S)
    assert "[RIVET_STATE_ERROR]" in ending.said
    assert "more than can be read at once" in ending.said


FLAGS = {"threads": ("--parallel-exports=3",), "processes": ("--parallel-export-processes=3",)}


@pytest.mark.parametrize("side", ["alone", *FLAGS])
def test_a_stop_ends_every_wait(side, state, measured, tmp_path):
    flags = FLAGS.get(side, ())
    running = [
        (
            step,
            *started(
                state, measured, tmp_path / step, step, "silence", is_stopped=True, flags=flags
            ),
        )
        for step in [*(STEPS.keys() - {"parts"}), *LET_IN]
    ]
    took_s = {}
    for step, _, future, has_begun in running:
        assert has_begun.wait(60), step
        begun_at = time.monotonic()
        future.add_done_callback(
            lambda _, step=step, at=begun_at: took_s.update({step: time.monotonic() - at})
        )
    for step, server, future, _ in running:
        ending = future.result(timeout=60)
        with server:
            pass
        assert ending.code == 143, f"{step}: {ending}"
        limit_s = STOPPED_S + 0.5 + (ALL_WAIT_S + BUSY_S if flags else 0)
        assert took_s[step] < limit_s, f"{step}: {took_s} {ending}"


def test_silence_ends_in_time(state):
    server, url, _ = serve(state, "shape", BEHAVIOURS["silence"])
    with server, pytest.raises(StateError, match="sent nothing for"):
        PostgresDatabase(url, patience_s=0.5).revision()
