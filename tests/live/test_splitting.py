"""A chunk that runs long is split while it runs; whatever happens, every row is there once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import rivet as library

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 60_000
FILL = {
    "postgresql": "SELECT g, md5(g::text), repeat('x', 80)"
    f" FROM generate_series(1, {ROWS}) g; ANALYZE t",
    "mysql": f"SELECT seq, md5(seq), repeat('x', 80) FROM seq_1_to_{ROWS}; ANALYZE TABLE t",
}


@pytest.fixture(params=["postgresql", "mysql"])
def skewed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path, dict[str, Any]]:
    fixture = "any_postgres" if request.param == "postgresql" else "mariadb"
    database = request.getfixturevalue(fixture)
    database.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, code char(32) NOT NULL UNIQUE, pad varchar(99));"
        f"INSERT INTO t {FILL[request.param]}"
    )
    source = {"type": request.param, "url": database.url, "tls": {"mode": "disable"}}
    return database, tmp_path, source


def config(folder: Path, source: dict[str, Any], **keys: Any) -> Path:
    export = {
        "name": "t",
        "table": "t",
        "mode": "chunked",
        "parallel": 2,
        "chunk_checkpoint": True,
        "format": "parquet",
        "destination": {"type": "local", "path": "out"},
        "tuning": {"retry_backoff_ms": 1, "max_statement_s": 0.05},
        **keys,
    }
    path = folder / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": [export]}))
    return path


def judged(folder: Path) -> tuple[int, int, int]:
    """Return rows, distinct keys and chunks that a reader of the manifest has."""
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    files = [str(folder / "out" / part["path"]) for part in manifest["parts"]]
    sql = f"SELECT count(*), count(DISTINCT id) FROM read_parquet({files})"
    rows, distinct = duckdb.sql(sql).fetchall()[0]
    return rows, distinct, len({part["chunk_index"] for part in manifest["parts"]})


SHAPES = {
    "numbers": {"chunk_column": "id", "chunk_size": 55_000},
    "text": {"chunk_by_key": "code", "chunk_size": 55_000},
    "blocks": {"chunk_count": 3},  # of equal size: the third is read while one has nothing to do
}


def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every chunk long, and every slice small and slow."""
    monkeypatch.setattr("rivet.execution.pool.splitting.LONG_S", 0.0)
    monkeypatch.setattr("rivet.execution.pool.threads.LOOK_S", 0.02)
    monkeypatch.setattr("rivet.execution.job.SLICE_SHARE", 0.002)
    real = time.sleep
    monkeypatch.setattr("rivet.execution.worker.parts.time.sleep", lambda s: real(s or 0.01))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_chunk_is_shared(skewed, shape, monkeypatch):
    database, folder, source = skewed
    if shape == "blocks":
        if source["type"] == "mysql":
            pytest.skip("only PostgreSQL is read by blocks")
        database.execute("ALTER TABLE t DROP CONSTRAINT t_pkey, DROP CONSTRAINT t_code_key")
    pace(monkeypatch)
    path = config(folder, source, **SHAPES[shape])
    (report,) = library.run(path, validate=True).exports
    rows, distinct, chunks = judged(folder)
    assert (rows, distinct) == (ROWS, ROWS)
    assert chunks > SHAPES[shape].get("chunk_count", 2)
    assert report.instants == 1


def test_a_worker_that_fails_after_a_split_takes_nothing_twice(skewed, monkeypatch):
    _, folder, source = skewed
    pace(monkeypatch)
    failed: list[int] = []

    def listen(event: Any) -> None:
        if event.type == "progress_init" and event.total_chunks > 2 and not failed:
            failed.append(event.total_chunks)
            kill(skewed[0], source["type"])

    path = config(folder, source, chunk_column="id", chunk_size=55_000)
    (report,) = library.run(path, check=False, on_event=listen).exports
    assert failed
    if not report.is_success:
        (report,) = library.run(path, resume=True).exports
    assert report.is_success
    assert judged(folder)[:2] == (ROWS, ROWS)


DIE = """
import sys, time
import rivet
import rivet.execution.job, rivet.execution.worker.parts, rivet.execution.pool.splitting
import rivet.execution.pool.threads
rivet.execution.pool.splitting.LONG_S = 0.0
rivet.execution.pool.threads.LOOK_S = 0.02
rivet.execution.job.SLICE_SHARE = 0.002
real = time.sleep
rivet.execution.worker.parts.time.sleep = lambda s: real(s or 0.01)
rivet.run(sys.argv[1])
"""


def test_a_process_that_dies_after_a_split_is_taken_up(skewed):
    _, folder, source = skewed
    path = config(folder, source, chunk_column="id", chunk_size=55_000)
    fault = {**os.environ, "RIVET_FAULT": "kill@progress_init:1"}
    died = subprocess.run([sys.executable, "-c", DIE, str(path)], env=fault, check=False)
    assert died.returncode == -9
    (report,) = library.run(path, resume=True, validate=True).exports
    assert report.is_success
    rows, distinct, chunks = judged(folder)
    assert (rows, distinct) == (ROWS, ROWS)
    assert chunks > 2


def kill(database: Any, engine: str) -> None:
    if engine == "postgresql":
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'rivet' AND datname = current_database()",
            admin=True,
        )
        return
    sql = "SELECT id FROM information_schema.PROCESSLIST WHERE user = 'rivet' AND db = DATABASE()"
    for (number,) in database.execute(sql):
        database.execute(f"KILL {number}")
