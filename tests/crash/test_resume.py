"""`--resume` decides once, under the lock, and mixes nothing that does not belong together."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from support.growing import Growing

CRASH = {"RIVET_FAULT": "kill@chunk_completed:1"}


@pytest.fixture
def items(tmp_path):
    table = Growing(tmp_path)
    table.add(9)
    table.keys = {"mode": "chunked", "chunk_column": "id", "chunk_count": 4}
    return table


CHANGES = {
    "time of export": {"meta_columns": {"exported_at": True}},
    "row hash": {"meta_columns": {"row_hash": True}},
    "codec": {"compression": "snappy"},
    "level": {"compression_level": 9},
    "rename": {"rename": {"name": "label"}},
    "mask": {"mask": {"name": "hash"}},
    "rules": {"quality": {"unique_columns": ["name"]}},
}


def test_nothing_that_shapes_a_file_changes_within_a_run(rivet, items):
    before = dict(items.keys)
    assert rivet("run", "-c", items.config, env=CRASH).code == -9
    for what, change in CHANGES.items():
        items.keys = {**before, **change}
        done = rivet("run", "-c", items.config, "--resume")
        assert "fingerprint mismatch" in done.stderr, (what, done.stderr)
    items.keys = before
    rivet("run", "-c", items.config, "--resume", "--validate").expect(0)
    assert items.ids() == list(range(1, 13))


def test_a_run_keeps_its_day(rivet, items):
    items.path, items.keys["keep_runs"] = "out/{date}", 1
    assert rivet("run", "-c", items.config, env=CRASH).code == -9
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    old = items.folder / "out" / yesterday
    (items.folder / "out" / today).rename(old)
    for column in ("runs SET destination_uri", "runs SET plan_json", "parts SET uri"):
        name = column.split()[-1]
        items.sql(f"UPDATE {column} = replace({name}, '{today}', '{yesterday}')", state=True)
    rivet("run", "-c", items.config, "--resume", "--validate").expect(0)
    assert items.ids() == list(range(1, 13))
    assert (old / "manifest.json").exists()
    rivet("run", "-c", items.config).expect(0)
    assert not list(old.glob("*.parquet"))  # `keep_runs` finds where they went
    assert list((items.folder / "out" / today).glob("*.parquet"))


def test_exports_whose_turn_never_came_begin(rivet, items):
    items.names = ("first", "second")
    assert rivet("run", "-c", items.config, env=CRASH).code == -9
    done = rivet("run", "-c", items.config, "--resume", "--json").expect(0)
    assert [one["status"] for one in done.json["per_export"]] == ["success", "success"]


def test_a_live_run_is_left_alone(rivet, items):
    items.names = ("first", "second")
    marker = items.folder / "marker"
    marker.touch()
    held = {"RIVET_FAULT": "pause@chunk_completed:1", "RIVET_FAULT_MARKER": str(marker)}
    config = items.config
    env = {**rivet.environment, **held}
    with rivet.start("run", "-c", config, "-e", "first", env=env) as live:
        while len(list(items.folder.glob("out/first/*.parquet"))) < 2:
            assert live.poll() is None
            time.sleep(0.02)
        options = ("--resume", "--parallel-export-processes=2")
        done = rivet("run", "-c", config, *options)
        assert done.code != 0
        assert "RIVET_REFUSED_OVERLAP" in done.stderr or "pid" in done.stderr
        marker.unlink()
        told = live.communicate(timeout=60)
    assert live.returncode == 0, told
    manifest = json.loads((items.folder / "out/first/manifest.json").read_text())
    assert manifest["row_count"] == 12


def test_a_run_that_goes_on_judges_all_its_rows(rivet, items):
    before = {**items.keys, "quality": {"unique_columns": ["name"]}}
    items.keys = before
    items.sql("UPDATE events SET name = 'n2' WHERE id = 11")
    rivet("run", "-c", items.config).expect(3)
    again = rivet("run", "-c", items.config, "--resume").expect(3)
    assert "'name': 1 values are not unique" in again.stderr
    assert items.ids() == []

    assert rivet("run", "-c", items.config, env=CRASH).code == -9
    items.keys = {**before, "quality": {"unique_columns": ["name"], "row_count_max": 11}}
    part = rivet("run", "-c", items.config, "--resume").expect(3)
    assert "12 rows, at most 11" in part.stderr
    assert "'name': 1 values are not unique" in part.stderr
    items.sql("DELETE FROM observations", state=True)  # as an earlier version left it
    lost = rivet("run", "-c", items.config, "--resume").expect(3)
    assert "is read again" in lost.stderr
    assert "12 rows, at most 11" in lost.stderr
    assert items.ids() == []
    items.sql("UPDATE events SET name = 'n11' WHERE id = 11")
    items.keys = before
    rivet("run", "-c", items.config).expect(0)
    assert items.ids() == list(range(1, 13))
    assert items.sql("SELECT count(*) FROM observations", state=True) == [(0,)]


def test_a_chunk_is_tried_again_only_while_none_of_its_parts_is_durable(rivet, items):
    """One of many fails alone: those that are done stay, and the last good manifest, too."""
    items.keys["tuning"] = {"max_retries": 2, "retry_backoff_ms": 1}
    again = rivet("run", "-c", items.config, env={"RIVET_FAULT": "error@chunk_started:2"}).expect(0)
    assert "trying again" in again.stderr
    good = (items.folder / "out/events/manifest.json").read_bytes()
    items.add(1)
    done = rivet("run", "-c", items.config, env={"RIVET_FAULT": "error@part_stored:2"}).expect(2)
    assert "trying again" not in done.stderr
    assert (items.folder / "out/events/manifest.json").read_bytes() == good
    rest = rivet("run", "-c", items.config, "--resume").expect(0)
    assert "goes on: 2 of 4 chunks were done" in rest.stderr
    manifest = json.loads((items.folder / "out/events/manifest.json").read_text())
    assert manifest["row_count"] == 13


@pytest.mark.live("postgresql")
def test_the_position_of_a_run_that_went_on_is_the_earliest_of_its_parts(
    rivet, any_postgres, tmp_path
):
    """By the server's order: `0/A` is before `0/10`, whichever part was recorded first."""
    any_postgres.execute(
        "CREATE TABLE items AS SELECT g AS id FROM generate_series(1, 100) g;"
        "ALTER TABLE items ADD PRIMARY KEY (id)"
    )
    items = Growing(tmp_path)
    source = {"type": "postgresql", "url": any_postgres.url, "tls": {"mode": "disable"}}
    items.source, items.table = source, "items"
    items.keys = {"mode": "chunked", "chunk_column": "id", "chunk_count": 4, "consistency": "chunk"}
    assert rivet("run", "-c", items.config, env=CRASH).code == -9
    recorded = items.sql("SELECT part_id, instant_json FROM parts ORDER BY part_id", state=True)
    for (part_id, told), place in zip(recorded, ("0/10", "0/A"), strict=True):
        engine, kind, _, is_approximate = json.loads(told)
        body = json.dumps([engine, kind, place, is_approximate])
        items.sql(f"UPDATE parts SET instant_json = '{body}' WHERE part_id = {part_id}", state=True)
    rivet("run", "-c", items.config, "--resume", "--validate").expect(0)
    manifest = json.loads((tmp_path / "out/events/manifest.json").read_text())
    places = [part["snapshot"] or manifest["snapshot"] for part in manifest["parts"]]
    assert manifest["snapshot"]["text"] == "0/A"
    assert [place["text"] for place in places][:2] == ["0/10", "0/A"]
    assert manifest["row_count"] == 100
