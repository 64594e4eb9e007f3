"""Every way to cut a table, on every engine: a reader of the manifest has the source's rows."""

from __future__ import annotations

import json
import re

import pytest

import rivet as library
from support.chunked import ROWS, Chunked, fill
from support.engines import SETUPS

# What tests/worlds cuts in every world, the plain one of each engine among them, is not cut here.
SHAPES = {
    "range": {"chunk_column": "id", "chunk_size": 300},
    "range of a column with NULL": {"chunk_column": "grp", "chunk_size": 4},
    "fractions": {"chunk_column": "price", "chunk_size": 7},
    "dense by text": {"chunk_column": "code", "chunk_dense": True, "chunk_size": 90},
    "memory": {"chunk_column": "id", "chunk_size_memory_mb": 1, "chunk_checkpoint": True},
    "query": {
        "query": "SELECT * FROM items WHERE id > -5000 ORDER BY code -- all",
        "chunk_column": "id",
        "chunk_size": 500,
    },
    "several workers, own instants": {
        "chunk_column": "id",
        "chunk_size": 300,
        "parallel": 3,
        "consistency": "chunk",
    },
}


@pytest.fixture
def items(engine, tmp_path):
    table = Chunked(engine, tmp_path)
    table.create()
    return table


@pytest.mark.parametrize("shape", SHAPES)
def test_every_row_is_there_once(items, shape):
    items.keys = SHAPES[shape]
    (report,) = library.run(items.config, validate=True).exports
    assert items.read() == items.source()
    parts = items.manifest["parts"]
    assert len({part["chunk_index"] for part in parts}) > (shape != "memory")
    assert report.rows == len(items.source())


def test_a_count_is_the_number_of_chunks(items):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    library.run(items.config)
    assert len(items.manifest["parts"]) == 5


def test_reconcile_counts_in_the_same_instant(items):
    items.keys = {"chunk_column": "id", "chunk_count": 4}
    (report,) = library.run(items.config, reconcile=True).exports
    assert report.reconciled == (500, 500)


def test_an_empty_table_gives_an_empty_manifest(items):
    items.engine.execute(
        "DELETE FROM items" + ("; SELECT 1" if items.engine.name == "sqlite" else "")
    )
    for keys in SHAPES.values():
        items.keys = keys
        library.run(items.config)
        assert items.manifest["row_count"] == 0


REFUSED = {
    "no such column": ({"chunk_column": "idd"}, "'idd'"),
    "a key that is none": ({"chunk_by_key": "grp"}, "no key to page by"),
    "ranges of text": ({"chunk_column": "code", "chunk_size": 5}, "holds no numbers"),
    "days of numbers": ({"chunk_column": "grp", "chunk_by_days": 5}, "no date"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_cut_is_refused_before_anything_is_written(rivet, items, case):
    keys, words = REFUSED[case]
    items.keys = {"chunk_checkpoint": True, **keys}
    done = rivet("run", "-c", items.config).expect(1)
    assert re.search(words, done.stderr), done.stderr
    assert not items.out.exists() or not list(items.out.glob("*"))


# Resume


def crashed(rivet, items, fault="kill@chunk_completed:1"):
    done = rivet("run", "-c", items.config, env={"RIVET_FAULT": fault})
    assert done.code == -9
    return done


def test_a_killed_run_is_taken_up_where_it_was(rivet, items):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    crashed(rivet, items)
    before = {path.name: path.stat().st_mtime_ns for path in items.out.glob("*.parquet")}
    fill(items.engine, 600, 50)  # behind the end of what was planned
    done = rivet("run", "-c", items.config, "--resume", "--validate").expect(0)
    assert "2 of 5 chunks were done" in done.stderr
    assert "2 instants" in done.stderr
    assert items.read() == items.source()
    names = {part["path"] for part in items.manifest["parts"]}
    assert before.keys() <= names
    assert all((items.out / name).stat().st_mtime_ns == at for name, at in before.items())


def test_a_fresh_run_after_a_crash_starts_over(rivet, items):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    crashed(rivet, items)
    done = rivet("run", "-c", items.config).expect(0)
    assert "had died" in done.stderr
    assert items.read() == items.source()


def test_a_stored_part_that_was_never_recorded_is_set_aside(rivet, items):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    crashed(rivet, items, "kill@part_stored:2")
    assert len(list(items.out.glob("*.parquet"))) == 3
    done = rivet("run", "-c", items.config, "--resume").expect(0)
    assert "_quarantine" in done.stderr
    assert len(list(items.out.glob("_quarantine/*/*.parquet"))) == 1
    assert len(list(items.out.glob("*.parquet"))) == 5
    assert items.read() == items.source()


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_part_that_is_not_whole_is_read_again(rivet, items, damage):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    crashed(rivet, items)
    part = min(items.out.glob("*.parquet"))
    if damage == "missing":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-10])
    done = rivet("run", "-c", items.config, "--resume", "--validate").expect(0)
    assert "is read again" in done.stderr
    assert items.read() == items.source()


def test_a_changed_plan_is_not_mixed_with_the_old_one(rivet, items):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    crashed(rivet, items)
    items.keys = {"chunk_column": "id", "chunk_count": 4}
    done = rivet("run", "-c", items.config, "--resume").expect(1)
    assert "fingerprint mismatch" in done.stderr
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    rivet("run", "-c", items.config, "--resume").expect(0)
    assert items.read() == items.source()


def test_what_may_have_moved_is_not_taken_up(rivet, items):
    items.keys = {"chunk_column": "grp", "chunk_size": 4}
    crashed(rivet, items)
    done = rivet("run", "-c", items.config, "--resume").expect(0)
    assert "starts over" in done.stderr
    assert items.read() == items.source()


def test_resume_without_anything_to_resume(rivet, items):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    rivet("run", "-c", items.config, "--resume").expect(0)  # its turn never came
    before = (items.out / "manifest.json").read_bytes()
    done = rivet("run", "-c", items.config, "--resume", "--json").expect(0)
    assert "nothing to resume" in json.dumps(done.json)
    assert (items.out / "manifest.json").read_bytes() == before
    fill(items.engine, 600, 50)
    again = rivet("run", "-c", items.config, "--resume", "--force").expect(0)
    assert "a new one begins" in again.stderr
    assert (items.out / "manifest.json").read_bytes() != before
    assert items.read() == items.source()


def test_children_take_their_runs_up_too(rivet, items):
    items.keys = {"chunk_column": "id", "chunk_count": 5}
    crashed(rivet, items)
    options = ("--resume", "--parallel-export-processes=2")
    done = rivet("run", "-c", items.config, *options, "--json").expect(0)
    assert items.read() == items.source()
    assert done.json["total_rows"] == 500


def test_quality_is_judged_over_all_chunks(rivet, items):
    items.keys = {
        "chunk_column": "id",
        "chunk_count": 5,
        "quality": {"row_count_min": 500, "unique_columns": ["code"]},
    }
    rivet("run", "-c", items.config).expect(0)
    items.keys["quality"] = {"null_ratio_max": {"grp": 0.1}}
    failed = rivet("run", "-c", items.config).expect(3)
    assert "'grp'" in failed.stderr
    assert items.manifest["run_id"] in failed.stderr or items.read() == items.source()


def test_a_key_can_be_gone_on_from(rivet, items):
    items.keys = {"chunk_by_key": "id", "keyset_incremental": True, "chunk_size": 90}
    fault = {"RIVET_FAULT": "kill@part_recorded"}
    assert rivet("run", "-c", items.config, env=fault).code == -9
    done = rivet("run", "-c", items.config, "--resume").expect(0)
    assert "starts over" in done.stderr
    assert items.read() == items.source()
    fill(items.engine, 600, 20)
    rivet("run", "-c", items.config).expect(0)
    assert items.read() == items.source()[-20:]
    done = rivet("run", "-c", items.config, "--json").expect(0)
    assert done.json["total_rows"] == 0


@pytest.mark.parametrize(
    "keys",
    [
        {"chunk_column": "id", "chunk_count": 3},
        {"chunk_by_key": "code", "chunk_size": 100},
        {"chunk_column": "day", "chunk_by_days": 7},
        {"chunk_column": "grp", "chunk_count": 1},  # and one of rows without a group
    ],
)
def test_many_chunks_into_a_stream_are_refused_before_the_first(request, tmp_path, rivet, keys):
    table = Chunked(SETUPS["sqlite"](request), tmp_path)
    table.create()
    table.keys = {**keys, "destination": {"type": "stdout"}, "format": "csv"}
    done = rivet("run", "-c", table.config).expect(1)
    assert done.stdout == ""
    assert "stdout-no-split" in done.stderr
    table.keys |= {"chunk_column": "id", "chunk_count": 1}
    for key in ("chunk_by_key", "chunk_size", "chunk_by_days"):
        table.keys.pop(key, None)
    done = rivet("run", "-c", table.config).expect(0)
    assert len(done.stdout.splitlines()) == ROWS + 1
