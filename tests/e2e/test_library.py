"""The library does what the command does, and costs nothing until it is used."""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
import threading
import traceback

import duckdb
import pytest

import rivet
from rivet.errors import ConfigError, ExportsFailedError, PlanError, SourceQueryError
from support.children import wait_until


def _source(shop):
    return {"type": "sqlite", "url": f"sqlite:///{shop.database}"}


def test_a_run_returns_its_files(shop):
    report = rivet.run(shop.config, validate=True)
    assert report.is_success
    assert report.rows == 1000
    paths = [str(shop.out / "orders" / part.name) for part in report.files]
    found = duckdb.sql(f"SELECT count(*), max(id) FROM read_parquet({paths})").fetchall()
    assert found == [(1000, 1000)]


def test_a_mapping_is_a_configuration_too(shop, monkeypatch):
    monkeypatch.chdir(shop.directory)
    report = rivet.run(json.loads(shop.config.read_text()))
    assert report.exports[0].plan.mode == "full"
    assert (shop.out / "orders" / "_SUCCESS").exists()


def test_a_loaded_configuration_can_be_run(shop):
    config = rivet.load_config(shop.config)
    assert [export.name for export in config.exports] == ["orders"]
    assert rivet.run(config).is_success
    with pytest.raises(ConfigError):
        rivet.run(config, params={"a": "b"})


def test_nothing_new_is_a_skip_and_a_success_without_rows_in_json(shop):
    shop.configure({"table": "orders", "mode": "incremental", "cursor_column": "id"})
    rivet.run(shop.config)
    events = []
    report = rivet.run(shop.config, on_event=events.append)
    (export,) = report.exports
    assert (export.status, export.told_status) == ("skipped", "success")
    assert [one.status for one in events if one.type == "finished"] == ["skipped"]
    (told,) = report.to_json()["per_export"]
    assert (told["status"], told["skip_reason"], told["rows"]) == ("success", "no new rows", 0)
    assert report.to_json()["success_count"] == 1


def test_parameters_reach_the_query(shop):
    shop.configure({"query": "SELECT id FROM orders WHERE id <= ${most}"})
    assert rivet.run(shop.config, params={"most": "7"}).rows == 7


def test_a_failure_is_raised_unless_asked_not_to(shop):
    shop.configure({}, {"name": "nope"}, {"name": "neither"})
    with pytest.raises(
        ExportsFailedError, match="2 of 3 exports failed: 'nope', 'neither'"
    ) as caught:
        rivet.run(shop.config)
    assert type(caught.value) is ExportsFailedError
    assert caught.value.exit_status == 1
    report = rivet.run(shop.config, check=False)
    assert [export.export_name for export in report.failures] == ["nope", "neither"]
    assert rivet.run(shop.config, exports=["orders"]).is_success


@pytest.mark.parametrize("side_by_side", ["", "parallel_exports", "parallel_export_processes"])
def test_a_failure_is_raised_as_the_error_it_was(shop, side_by_side):
    shop.configure({}, {"name": "nope"}, {"name": "other"})
    flags = {side_by_side: True} if side_by_side else {}
    with pytest.raises(SourceQueryError, match="nope") as caught:
        rivet.run(shop.config, exports=["orders", "nope"], **flags)
    error = caught.value
    assert error.error_code == "RIVET_SOURCE_TABLE_NOT_FOUND"
    assert error.hint == "the database has: 'empty', 'orders'"
    assert [export.status for export in error.report.exports] == ["success", "failed"]
    again = pickle.loads(pickle.dumps(error))
    assert again.report.exports[0].rows == 1000
    raised_in = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    assert ("run_export" in raised_in) == (side_by_side != "parallel_export_processes")


def test_events_can_be_watched(shop):
    seen = []
    rivet.run(shop.config, on_event=seen.append)
    assert [event.type for event in seen if event.type != "progress"] == [
        "launched",
        "started",
        "plan_resolved",
        "chunk_started",
        "part_stored",
        "part_recorded",
        "chunk_completed",
        "manifest_written",
        "manifest_written",
        "success_written",
        "run_recorded",
        "finished",
    ]


def test_a_listener_that_fails_does_not_fail_the_export(shop):
    def listen(event):
        raise RuntimeError(event.type)

    report = rivet.run(shop.config, on_event=listen)
    assert report.is_success
    assert (shop.out / "orders" / "_SUCCESS").exists()


def test_a_table_can_be_read_straight_into_arrow(shop):
    reader = rivet.read(f"sqlite:///{shop.database}", "orders", columns={"amount": "text"})
    table = reader.read_all()
    assert table.num_rows == 1000
    assert str(table.schema.field("amount").type) == "string"
    assert not (shop.directory / ".rivet").exists()


def test_a_query_is_a_relation(shop):
    relation = rivet.Relation(query="SELECT count(*) AS n FROM orders")
    rows = rivet.read(_source(shop), relation).read_all().to_pylist()
    assert [str(row["n"]) for row in rows] == ["1000"]


def test_what_cannot_be_read_is_an_error(shop):
    with pytest.raises(SourceQueryError, match="nope"):
        rivet.read(_source(shop), "nope")
    with pytest.raises(PlanError):
        rivet.read(_source(shop), "a.b.c")


def test_a_reader_that_is_dropped_leaves_no_session(shop):
    before = threading.active_count()
    reader = rivet.read(_source(shop), "orders")
    reader.read_next_batch()
    del reader
    gc.collect()
    wait_until(lambda: threading.active_count() <= before)
    shop.execute("DROP TABLE orders")  # nobody holds a lock on the file


def test_importing_rivet_imports_nothing_heavy():
    heavy = "pyarrow psycopg sqlalchemy pydantic ruamel typer rich"
    code = f"import rivet, sys; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
