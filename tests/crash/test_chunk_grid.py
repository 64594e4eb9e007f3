"""End a chunked export at every commit step, on every engine; resumed, it is whole."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time

import pyarrow.parquet as pq
import pytest

from support.chunked import Chunked

STEPS = (
    "started",
    "chunk_started:2",
    "part_stored:2",
    "part_recorded:2",
    "chunk_completed:2",
    "manifest_written",
    "manifest_written:1",
    "success_written",
)
CODES = {"exit": 137, "kill": -9}
WAYS = {
    "in turns": ("exit", "kill"),
    "exit": ("exit", "exit"),
    "kill": ("kill", "kill"),
}
CUTS = {
    "range": {"chunk_column": "id", "chunk_count": 5},
    "key": {"chunk_by_key": "code", "chunk_size": 110},
    "dense": {"chunk_column": "grp", "chunk_dense": True, "chunk_size": 90},
    "days": {"chunk_column": "day", "chunk_by_days": 7},
    "two workers": {"chunk_column": "id", "chunk_count": 5, "parallel": 2},
}
# Modes that read their rows as one chunk, or two, and begin anew after a crash.
MODES = {
    "full": {"mode": "full"},
    "incremental": {"mode": "incremental", "cursor_column": "id"},
    "time_window": {"mode": "time_window", "time_column": "day", "days_window": 36500},
}


@pytest.fixture
def items(engine, tmp_path):
    if engine.name == "duckdb":
        pytest.skip("a file that nobody writes to; the other engines run the same loop")
    table = Chunked(engine, tmp_path)
    table.create(300)
    return table


# Every way to cut goes the same way through the same loop; the others wait for the soak.
SOON = ("key", "dense", "two workers")
CASES = [(cut, "in turns") for cut in SOON] + [
    pytest.param(cut, way, marks=pytest.mark.soak) for cut in CUTS for way in ("exit", "kill")
]


@pytest.mark.parametrize(("cut", "way"), CASES)
def test_a_crash_at_any_step_loses_and_doubles_nothing(rivet, items, cut, way):
    if items.engine.name == "mysql" and (cut, way) in CASES[:2]:
        pytest.skip("the other engines run the same loop")
    items.keys = CUTS[cut]
    expected = items.source()
    for number, step in enumerate(STEPS):
        verb = WAYS[way][number % 2]
        done = rivet("run", "-c", items.config, env={"RIVET_FAULT": f"{verb}@{step}"})
        assert done.code == CODES[verb], (step, done.stderr)
        for path in items.out.glob("*.parquet"):
            pq.read_metadata(path)  # nothing under a final name is torn
        rivet("run", "-c", items.config, "--resume", "--validate").expect(0)
        assert items.read() == expected, step
        run_id = items.manifest["run_id"]
        published = {part["path"] for part in items.manifest["parts"]}
        assert {path.name for path in items.out.glob(f"{run_id}*.parquet")} == published


MODE_CASES = [(mode, "kill") for mode in ("incremental",)] + [
    pytest.param(mode, verb, marks=pytest.mark.soak) for mode in MODES for verb in CODES
]


@pytest.mark.parametrize(("mode", "verb"), MODE_CASES)
def test_a_crash_in_other_modes(rivet, items, mode, verb):
    items.keys = MODES[mode]
    expected = [row for row in items.source() if mode != "time_window" or row[3] is not None]
    for step in STEPS:
        shutil.rmtree(items.out, ignore_errors=True)
        shutil.rmtree(items.folder / ".rivet", ignore_errors=True)
        fault = step.split(":")[0] if step[-1] == "2" else step
        done = rivet("run", "-c", items.config, env={"RIVET_FAULT": f"{verb}@{fault}"})
        assert done.code == CODES[verb], (step, done.stderr)
        rivet("run", "-c", items.config, "--resume", "--validate").expect(0)
        assert items.read() == expected, step


@pytest.mark.live("postgresql")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_chunks_that_are_read_side_by_side(rivet, any_postgres, tmp_path, number):
    any_postgres.execute(
        "CREATE TABLE items AS SELECT g AS id, repeat('x', 300) AS pad"
        " FROM generate_series(1, 400000) g; ALTER TABLE items ADD PRIMARY KEY (id)"
    )
    source = {"type": "postgresql", "url": any_postgres.url, "tls": {"mode": "disable"}}
    export = {
        "name": "items",
        "table": "items",
        "mode": "chunked",
        "chunk_column": "id",
        "chunk_count": 40,
        "parallel": 3,
        "format": "parquet",
        "destination": {"type": "local", "path": "out"},
    }
    config = tmp_path / "rivet.yaml"
    config.write_text(json.dumps({"source": source, "exports": [export]}))
    child = rivet.start("run", "-c", config, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list((tmp_path / "out").glob("*.parquet")):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(number)
    told = child.communicate(timeout=20)
    assert child.returncode == 128 + number, told
    busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rivet'"
    assert any_postgres.execute(f"{busy} AND datname = current_database()") == [(0,)]
    rivet("run", "-c", config, "--resume", "--validate").expect(0)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["row_count"] == 400_000
