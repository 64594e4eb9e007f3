"""End the process at every commit step; what a reader sees is the last good run or the new one."""

from __future__ import annotations

import json

import duckdb
import pyarrow.parquet as pq
import pytest

STEPS = (
    "started",
    "chunk_started",
    "part_stored",
    "part_recorded",
    "chunk_completed",
    "manifest_written",
    "manifest_written:1",
    "success_written",
)
VERBS = {"exit": 137, "kill": -9}


def _reader_rows(rivet, shop):
    """Rows as a reader of the list sees them, and as one of the manifest does."""
    listed = rivet("files", "-c", shop.config).expect(0).stdout.split()
    by_list = duckdb.sql(f"SELECT count(*), count(DISTINCT id) FROM read_parquet({listed})")
    prefix = shop.out / "orders"
    manifest = json.loads((prefix / "manifest.json").read_text())
    by_manifest = sum(
        pq.read_metadata(prefix / part["path"]).num_rows for part in manifest["parts"]
    )
    assert by_manifest == manifest["row_count"]
    return by_list.fetchall()[0], by_manifest


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(rivet, shop, step, verb):
    rivet("run", "-c", shop.config).expect(0)
    shop.fill(500)
    rivet("run", "-c", shop.config, env={"RIVET_FAULT": f"{verb}@{step}"}).expect(VERBS[verb])

    # Whatever stands under a final name is whole.
    for path in (shop.out / "orders").glob("orders_*.parquet"):
        assert pq.read_metadata(path).num_rows in (1000, 1500)
    by_list, by_manifest = _reader_rows(rivet, shop)
    assert by_list[0] == by_list[1] == 1000  # the state knows no newer verdict
    assert by_manifest in (1000, 1500)

    done = rivet("run", "-c", shop.config, "--validate").expect(0)
    assert "had died" in done.stderr
    by_list, by_manifest = _reader_rows(rivet, shop)
    assert by_list == (1500, 1500)
    assert by_manifest == 1500


@pytest.mark.parametrize("step", STEPS[:4])
def test_nothing_refers_to_a_run_that_did_not_get_there(rivet, shop, step):
    rivet("run", "-c", shop.config, env={"RIVET_FAULT": f"exit@{step}"}).expect(137)
    prefix = shop.out / "orders"
    assert not (prefix / "manifest.json").exists()
    assert not (prefix / "_SUCCESS").exists()
    assert rivet("files", "-c", shop.config).expect(0).stdout == ""


def test_an_error_at_the_manifest_is_a_failed_run(rivet, shop):
    failed = rivet("run", "-c", shop.config, env={"RIVET_FAULT": "error@manifest_written"})
    failed.expect(2)
    assert not (shop.out / "orders" / "_SUCCESS").exists()
    assert rivet("files", "-c", shop.config).stdout == ""


def test_a_passing_error_before_anything_is_durable_is_tried_again(rivet, shop):
    shop.configure({"tuning": {"max_retries": 1, "retry_backoff_ms": 1}})
    done = rivet("run", "-c", shop.config, env={"RIVET_FAULT": "error@chunk_started"}).expect(0)
    assert "trying again" in done.stderr
    assert "retries:" in done.stderr


def test_an_error_after_a_part_is_durable_is_final(rivet, shop):
    shop.configure({"tuning": {"max_retries": 3, "retry_backoff_ms": 1}})
    done = rivet("run", "-c", shop.config, env={"RIVET_FAULT": "error@part_stored"}).expect(2)
    assert "trying again" not in done.stderr
    assert len(list((shop.out / "orders").glob("orders_*"))) == 1


def test_a_fault_nobody_knows_is_refused(rivet, shop):
    failed = rivet("run", "-c", shop.config, env={"RIVET_FAULT": "exit@nowhere"}).expect(1)
    assert "RIVET_FAULT" in failed.stderr
