"""A chunk that runs long is split while it runs; whatever happens, every row is there once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import rivet as library

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 30_000
FILL = {
    "postgresql": "SELECT g, md5(g::text), repeat('x', 800)"
    f" FROM generate_series(1, {ROWS}) g; ANALYZE t",
    "mysql": f"SELECT seq, md5(seq), repeat('x', 800) FROM seq_1_to_{ROWS}; ANALYZE TABLE t",
}


@pytest.fixture(params=["postgresql", "mysql"])
def skewed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path, dict[str, Any]]:
    fixture = "any_postgres" if request.param == "postgresql" else "mariadb"
    database = request.getfixturevalue(fixture)
    database.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, code char(32) NOT NULL UNIQUE, pad varchar(999));"
        f"INSERT INTO t {FILL[request.param]}"
    )
    source = {"type": request.param, "url": database.url, "tls": {"mode": "disable"}}
    return database, tmp_path, source


def config(
    folder: Path, source: dict[str, Any], top: dict[str, Any] | None = None, **keys: Any
) -> Path:
    export = {
        "name": "t",
        "table": "t",
        "mode": "chunked",
        "parallel": 64,  # as many as there are chunks, and each reads in small slices
        "chunk_checkpoint": True,
        "format": "parquet",
        "destination": {"type": "local", "path": "out"},
        "tuning": SLOW,
        **keys,
    }
    path = folder / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": [export], **(top or {})}))
    return path


def judged(folder: Path) -> tuple[int, int, int]:
    """Return rows, distinct keys and chunks that a reader of the manifest has."""
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    files = [str(folder / "out" / part["path"]) for part in manifest["parts"]]
    sql = f"SELECT count(*), count(DISTINCT id) FROM read_parquet({files})"
    rows, distinct = duckdb.sql(sql).fetchall()[0]
    return rows, distinct, len({part["chunk_index"] for part in manifest["parts"]})


# Small slices, and a pause after each.
SLOW = {
    "retry_backoff_ms": 1,
    "throttle_ms": 40,
    "batch_size_memory_mb": 1,
}
SHAPES = {
    "numbers": {"chunk_column": "id", "chunk_size": 27_000},
    "text": {"chunk_by_key": "code", "chunk_size": 27_000},
    # Of equal size: the third is read while one has nothing to do, and long enough to be seen. A
    # slice holds about one batch.
    "blocks": {"chunk_count": 3, "tuning": {"throttle_ms": 150, "batch_size": 1000}},
}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chunk is long enough to be split."""
    monkeypatch.setenv("RIVET_SPLIT_AFTER_MS", "0")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_chunk_is_shared(skewed, shape):
    database, folder, source = skewed
    if shape == "blocks":
        if source["type"] == "mysql":
            pytest.skip("only PostgreSQL is read by blocks")
        database.execute("ALTER TABLE t DROP CONSTRAINT t_pkey, DROP CONSTRAINT t_code_key")
    top = {"max_connections": 2} if shape == "blocks" else None
    path = config(folder, source, top, **SHAPES[shape])
    (report,) = library.run(path, validate=True).exports
    rows, distinct, chunks = judged(folder)
    assert (rows, distinct) == (ROWS, ROWS)
    assert chunks > SHAPES[shape].get("chunk_count", 2)
    assert report.instants == 1


def test_a_worker_that_fails_after_a_split_takes_nothing_twice(skewed):
    _, folder, source = skewed
    failed: list[int] = []

    def listen(event: Any) -> None:
        if event.type == "progress_init" and event.total_chunks > 2 and not failed:
            failed.append(event.total_chunks)
            kill(skewed[0], source["type"])

    path = config(folder, source, chunk_column="id", chunk_size=27_000)
    (report,) = library.run(path, check=False, on_event=listen).exports
    assert failed
    if not report.is_success:
        (report,) = library.run(path, resume=True).exports
    assert report.is_success
    assert judged(folder)[:2] == (ROWS, ROWS)


DIE = "import sys, rivet; rivet.run(sys.argv[1])"


def test_a_process_that_dies_after_a_split_is_taken_up(skewed):
    _, folder, source = skewed
    path = config(folder, source, chunk_column="id", chunk_size=27_000)
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
