"""`--reconcile` of runs that take a part: what was read is counted, in the instant it was read."""

from __future__ import annotations

import json

import duckdb
import pytest

from support.follower import STAMPS, Follower


@pytest.fixture
def events(engine, tmp_path):
    return Follower(engine, tmp_path)


def _counted(events, report, rows):
    assert report.failure is None, report.failure
    assert report.reconciled == (rows, rows)
    if report.status == "success":
        assert events.manifest()["source"]["extraction"]["source_row_count"] == rows


def test_each_window_is_counted_and_not_the_table(events):
    events.add(1, 2, None)
    _counted(events, events.run(reconcile=True), 3)
    events.add(3, 4, 5)
    _counted(events, events.run(reconcile=True), 3)
    report = events.run(reconcile=True)
    assert (report.status, report.reconciled) == ("skipped", (0, 0))
    events.keys["lookback"] = 2
    events.add(6)
    report = events.run(reconcile=True)
    assert report.rows > 1  # some once more
    _counted(events, report, report.rows)


def test_windows_of_the_clock_and_of_two_columns(events):
    events.add(1, 2, ts="2024-05-01 00:00:00")
    events.add(3)
    events.keys = {"cursor_column": "ts"}
    _counted(events, events.run(reconcile=True), 3)
    report = events.run(reconcile=True)
    assert (report.status, report.reconciled) == ("skipped", (0, 0))
    events.keys = {
        "name": "both",
        "cursor_column": "ts",
        "cursor_fallback_column": "seen_at",
        "incremental_cursor_mode": "coalesce",
    }
    events.execute(f"ALTER TABLE events ADD seen_at {STAMPS[events.engine.name]}")
    events.execute("UPDATE events SET seen_at = '2024-05-02 00:00:00' WHERE id = 3")
    events.keys["destination"] = {"type": "local", "path": "both"}
    report = events.run(reconcile=True)
    assert report.reconciled == (3, 3)


def test_the_last_days_are_counted(events):
    events.keys = {"mode": "time_window", "time_column": "ts", "days_window": 3}
    (today,) = duckdb.sql("SELECT CAST(now() AT TIME ZONE 'UTC' AS date)").fetchall()[0]
    events.add(1, 2, ts=f"{today} 00:00:00")
    events.add(3, ts="2020-01-01 00:00:00")
    _counted(events, events.run(reconcile=True), 2)
    events.keys |= {"table": None, "query": "SELECT id, ts FROM events WHERE id <> 2 -- all"}
    _counted(events, events.run(reconcile=True), 1)


def test_a_key_that_goes_on_in_chunks_is_counted(events):
    events.execute("DROP TABLE events")
    columns = "id bigint NOT NULL PRIMARY KEY, ts varchar(9), name varchar(20)"
    events.execute(f"CREATE TABLE events ({columns})")
    events.add(*range(1, 41))
    events.keys = {
        "mode": "chunked",
        "chunk_by_key": "id",
        "keyset_incremental": True,
        "parallel": 2,
    }
    _counted(events, events.run(reconcile=True), 40)
    events.add(*range(41, 44))
    _counted(events, events.run(reconcile=True), 3)


def test_a_backfill_is_counted(rivet, events):
    events.add(*range(1, 8))
    bounds = ("--from", "3", "--to", "6")
    done = rivet(
        "backfill", "-c", events.config, "-e", "events", *bounds, "--reconcile", "--json"
    ).expect(0)
    (told,) = done.json["per_export"]
    assert told["reconciliation"] == {"source_count": 3, "exported_rows": 3, "matched": True}
    assert "MATCH (3/3)" in done.stderr
    assert events.manifest("out/backfill")["source"]["extraction"]["source_row_count"] == 3


def test_chunks_side_by_side_are_counted_together(events):
    events.add(*range(1, 101), None)
    events.keys = {"mode": "chunked", "chunk_column": "id", "chunk_count": 4, "parallel": 3}
    _counted(events, events.run(reconcile=True), 101)


def test_rows_of_several_instants_are_not_verified(events):
    events.add(*range(1, 101))
    events.keys = {
        "mode": "chunked",
        "chunk_column": "id",
        "chunk_count": 4,
        "consistency": "chunk",
    }
    report = events.run(reconcile=True)
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_RUN_RECONCILE_UNVERIFIED", 1)
    assert "an instant of its own; nothing was read" in failure.message
    assert "consistency: export" in failure.hint
    assert report.reconciled is None
    assert report.rows == 0
    assert not (events.folder / "out" / "manifest.json").exists()


def test_chunks_that_an_earlier_run_had_done_are_not_verified(events, monkeypatch):
    events.add(*range(1, 101))
    events.keys = {
        "mode": "chunked",
        "chunk_column": "id",
        "chunk_count": 4,
        "consistency": "chunk",
        "tuning": {"max_retries": 0},
    }
    monkeypatch.setenv("RIVET_FAULT", "error@chunk_started:2")
    assert events.run().failure
    monkeypatch.delenv("RIVET_FAULT")
    events.execute("DELETE FROM events WHERE id < 10")  # of a chunk that is done
    report = events.run(resume=True, reconcile=True)
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_RUN_RECONCILE_UNVERIFIED", 1)
    assert "--resume" in failure.hint
    assert report.reconciled is None
    assert events.run(resume=True).failure is None
    assert len(events.rows()) == 100


def test_the_result_is_told_everywhere(rivet, shop):
    done = rivet("run", "-c", shop.config, "--reconcile", "--json").expect(0)
    found = {"source_count": 1000, "exported_rows": 1000, "matched": True}
    assert done.json["per_export"][0]["reconciliation"] == found
    assert "MATCH (1,000/1,000)" in done.stderr
    manifest = json.loads((shop.out / "orders" / "manifest.json").read_text())
    assert manifest["source"]["extraction"]["source_row_count"] == 1000
    rivet("run", "-c", shop.config).expect(0)
    manifest = json.loads((shop.out / "orders" / "manifest.json").read_text())
    assert manifest["source"]["extraction"]["source_row_count"] is None
