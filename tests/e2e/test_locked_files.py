"""A SQLite file that a writer holds: waited for aloud, and not for ever."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing

import pytest

import rivet as library


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(100)])
    return path


def _run(path, lock_timeout_s, held_s):
    config = {
        "source": {
            "type": "sqlite",
            "url": f"sqlite:///{path}",
            "tuning": {"lock_timeout_s": lock_timeout_s, "max_retries": 0},
        },
        "exports": [
            {
                "name": "t",
                "table": "t",
                "format": "parquet",
                "destination": {"type": "local", "path": "out"},
            }
        ],
    }
    file = path.parent / "rivet.yaml"
    file.write_text(json.dumps(config))
    is_held, is_over = threading.Event(), threading.Event()

    def write():
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("INSERT INTO t VALUES (1000)")
            is_held.set()
            is_over.wait(held_s)
            connection.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    is_held.wait()
    began = time.monotonic()
    (report,) = library.run(file, check=False).exports
    waited_s = time.monotonic() - began
    is_over.set()
    writer.join()
    return report, waited_s


def test_a_locked_file_is_waited_for_aloud(database):
    report, waited_s = _run(database, 30, 6)
    assert report.is_success, report.failure
    assert report.rows == 101
    assert waited_s > 2
    (told,) = report.warnings
    assert f"{database} is locked by a writer: waiting for up to 30 s" in told


def test_the_wait_has_an_end(database):
    report, waited_s = _run(database, 2, 60)
    assert (report.failure.code, report.failure.exit_code) == ("RIVET_SOURCE_UNAVAILABLE", 2)
    assert "is locked by a writer" in report.failure.message
    assert any("waiting for up to 2 s" in text for text in report.warnings)
    assert waited_s < 20


def test_a_short_wait_is_not_worth_a_word(database):
    report, _ = _run(database, 30, 0.2)
    assert report.rows == 101
    assert report.warnings == ()
