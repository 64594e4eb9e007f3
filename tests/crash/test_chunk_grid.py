"""End a chunked export at every commit step, on every engine; resumed, it is whole."""

from __future__ import annotations

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
