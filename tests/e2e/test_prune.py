"""Old runs are removed by the record alone, and never what a reader is given."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rivet.config.load import load_config
from rivet.execution.context import RunContext, RunOptions
from rivet.execution.run.prune import plan_prune
from rivet.state.store import StateStore, open_store
from support.chunked import Chunked
from support.engines import SETUPS


@pytest.fixture
def items(request, tmp_path):
    table = Chunked(SETUPS["sqlite"](request), tmp_path)
    table.create(50)
    table.keys = {"chunk_column": "id", "chunk_count": 2}
    return table


def files_of(items, run_id):
    return list(items.out.glob(f"{run_id}*")) + list(items.out.glob(f"manifest-{run_id}.json"))


def runs(rivet, items, count):
    found = []
    for _ in range(count):
        rivet("run", "-c", items.config).expect(0)
        found.append(items.manifest["run_id"])
    return found


def test_a_plan_removes_nothing_and_names_everything(rivet, items):
    first, second, third = runs(rivet, items, 3)
    done = rivet("prune", "-c", items.config, "--keep", "1").expect(0)
    assert first in done.stdout
    assert second in done.stdout
    assert third not in done.stdout
    assert "--execute" in done.stderr
    assert files_of(items, first)
    done = rivet("prune", "-c", items.config, "--keep", "2", "--execute", "--json").expect(0)
    assert [entry["run_id"] for entry in done.json["runs"]] == [first]
    assert not files_of(items, first)
    assert files_of(items, second)
    assert items.read() == items.source()
    rivet("run", "-c", items.config, "--validate").expect(0)


def test_keep_runs_holds_after_every_good_run(rivet, items):
    items.keys["keep_runs"] = 2
    found = runs(rivet, items, 4)
    kept = [run_id for run_id in found if files_of(items, run_id)]
    assert kept == found[-2:]
    assert items.read() == items.source()


def test_a_run_that_may_go_on_stays(rivet, items):
    (first,) = runs(rivet, items, 1)
    rivet("run", "-c", items.config, env={"RIVET_FAULT": "kill@chunk_completed"})
    unrelated = items.out / "somebody-elses.parquet"
    unrelated.write_bytes(b"x")
    done = rivet("prune", "-c", items.config, "--execute").expect(0)
    assert "nothing to remove" in done.stdout
    rivet("run", "-c", items.config, "--resume").expect(0)
    assert items.read() == items.source()
    rivet("prune", "-c", items.config, "--execute").expect(0)
    assert not files_of(items, first)
    assert unrelated.exists()


def test_failed_runs_go_once_a_newer_one_is_good(rivet, items):
    rivet("run", "-c", items.config, env={"RIVET_FAULT": "kill@chunk_completed"})
    dead = json.loads(rivet("run", "-c", items.config, "--json").expect(0).stdout)
    good = dead["per_export"][0]["run_id"]
    before = len(list(items.out.glob("*.parquet")))
    rivet("prune", "-c", items.config, "--execute").expect(0)
    assert before == 3
    assert {path.name for path in items.out.glob("*.parquet")} == {
        part["path"] for part in items.manifest["parts"]
    }
    assert files_of(items, good)


@pytest.mark.parametrize(
    "keys",
    [
        {"mode": "incremental", "cursor_column": "id"},
        {"chunk_by_key": "id", "keyset_incremental": True},
    ],
)
def test_runs_of_incremental_exports_are_never_removed(rivet, items, keys):
    items.keys = dict(keys)
    rivet("run", "-c", items.config).expect(0)
    rivet("prune", "-c", items.config, "-e", "items", "--execute").expect(1)
    done = rivet("prune", "-c", items.config, "--execute").expect(0)
    assert "nothing to remove" in done.stdout
    items.keys["keep_runs"] = 1
    assert "keep_runs" in rivet("run", "-c", items.config).expect(1).stderr


def test_pruning_reads_what_has_files_and_not_all_that_ever_ran(rivet, items, monkeypatch):
    items.keys["keep_runs"] = 2
    found = runs(rivet, items, 3)
    with open_store(items.folder) as state:
        row = state.run(found[-1]).record
        for number in range(30):
            state.begin_run(replace(row, run_id=f"old_{number}"))  # the next supersedes it
    runs(rivet, items, 1)
    asked, read = [], StateStore.parts
    monkeypatch.setattr(StateStore, "parts", lambda self, one: asked.append(one) or read(self, one))
    config = load_config(items.config)
    with open_store(items.folder) as state:
        context = RunContext(config, RunOptions(), state, lambda _: None, {})
        planned = plan_prune(config, None, context, 1)
        assert [one.run_id for one in planned] == [found[-1]]
        assert asked == [found[-1]]
        assert len(state.runs_with_files("items", good=1)) == 2
