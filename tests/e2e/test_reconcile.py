"""`--reconcile`: the files hold as many rows as the source held in the instant that was read."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import UTC, datetime

import pytest

import rivet as library
from rivet.execution.context import RunOptions
from rivet.execution.many.invocation import Assignment, run_exports

CHANGING = "SELECT id FROM orders WHERE id <= (SELECT abs(random()) % 100000)"


class Listener:
    """Does something when a chunk is recorded, before the source is counted; keeps the events."""

    def __init__(self, act=lambda: None):
        self.events = []
        self.answers = []
        self._act = act

    def __call__(self, event):
        self.events.append(event)
        if event.type == "chunk_completed":
            self.answers.append(self._act())

    @property
    def types(self):
        return [event.type for event in self.events]


def _write(shop, mode):
    """Return a writer that tells whether the database let it in."""

    def write():
        with contextlib.closing(sqlite3.connect(shop.database, timeout=0)) as connection:
            try:
                connection.executescript("INSERT INTO orders (customer) VALUES ('late')")
            except sqlite3.OperationalError as error:
                return str(error)
        return "written"

    shop.execute(f"PRAGMA journal_mode = {mode}")
    return write


def _summary(shop, run_id):
    path = shop.directory / ".rivet" / "runs" / run_id / "summary.json"
    return json.loads(path.read_text())


def test_a_match_is_reported_before_anything_is_published(shop):
    seen = Listener()
    (report,) = library.run(shop.config, reconcile=True, on_event=seen).exports
    assert report.reconciled == (1000, 1000)
    assert report.is_validated
    (told,) = [event for event in seen.events if event.type == "reconciled"]
    assert (told.exported_rows, told.source_rows, told.is_match) == (1000, 1000, True)
    assert seen.types.index("reconciled") < seen.types.index("manifest_written")
    found = _summary(shop, report.run_id)["reconciliation"]
    assert found == {"source_count": 1000, "exported_rows": 1000, "matched": True}


def test_nothing_is_counted_unless_asked(shop):
    seen = Listener()
    (report,) = library.run(shop.config, validate=True, on_event=seen).exports
    assert report.reconciled is None
    assert "reconciled" not in seen.types
    assert _summary(shop, report.run_id)["reconciliation"] is None


def test_rows_that_come_after_the_read_do_not_count(shop):
    seen = Listener(_write(shop, "WAL"))
    (report,) = library.run(shop.config, reconcile=True, on_event=seen).exports
    assert seen.answers == ["written"]
    assert report.reconciled == (1000, 1000)
    (report,) = library.run(shop.config, reconcile=True).exports
    assert report.reconciled == (1001, 1001)


@pytest.mark.parametrize(
    ("reconcile", "answer"), [(True, "database is locked"), (False, "written")]
)
def test_writers_wait_for_the_count_only_where_one_is_asked_for(shop, reconcile, answer):
    seen = Listener(_write(shop, "DELETE"))
    library.run(shop.config, reconcile=reconcile, on_event=seen)
    assert seen.answers == [answer]


def test_a_mismatch_publishes_nothing(shop):
    library.run(shop.config, reconcile=True)
    prefix = shop.out / "orders"
    before = {path.name: path.read_bytes() for path in prefix.glob("*[!t]")}
    shop.fill(99_000)
    shop.configure({"query": CHANGING})
    seen = Listener()
    (report,) = library.run(shop.config, reconcile=True, check=False, on_event=seen).exports
    exported, in_source = report.reconciled
    assert exported != in_source
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_DATA_RECONCILE", 3)
    assert "in the same instant; nothing was published" in failure.message
    assert "manifest_written" not in seen.types
    assert {path.name: path.read_bytes() for path in prefix.glob("*[!t]")} == before
    assert not _summary(shop, report.run_id)["reconciliation"]["matched"]


def test_the_command_ends_with_3_and_lists_the_last_good_run(rivet, shop):
    rivet("run", "-c", shop.config, "--reconcile").expect(0)
    good = rivet("files", "-c", shop.config).expect(0).stdout
    shop.fill(99_000)
    shop.configure({"query": CHANGING})
    failed = rivet("run", "-c", shop.config, "--reconcile").expect(3)
    assert "RIVET_DATA_RECONCILE" in failed.stderr
    assert rivet("files", "-c", shop.config).expect(0).stdout == good


def test_rows_on_standard_output_are_counted_too(rivet, shop):
    shop.configure({"format": "csv", "destination": {"type": "stdout"}})
    done = rivet("run", "-c", shop.config, "--reconcile").expect(0)
    assert done.stdout.count("\n") == 1001
    shop.fill(99_000)
    shop.configure({"query": CHANGING, "format": "csv", "destination": {"type": "stdout"}})
    failed = rivet("run", "-c", shop.config, "--reconcile").expect(3)
    assert "its rows were written already" in failed.stderr


def test_an_empty_table_matches_before_it_is_skipped(shop):
    shop.configure({"name": "empty", "skip_empty": True})
    (report,) = library.run(shop.config, reconcile=True).exports
    assert (report.status, report.reconciled) == ("skipped", (0, 0))


def test_a_read_that_was_tried_again_is_counted_where_it_was_read(shop, monkeypatch):
    shop.configure({"tuning": {"max_retries": 1, "retry_backoff_ms": 1}})
    monkeypatch.setenv("RIVET_FAULT", "error@chunk_started")
    (report,) = library.run(shop.config, reconcile=True).exports
    assert (report.retries, report.reconciled) == (1, (1000, 1000))


def _warnings(shop, **flags):
    events = []
    run_exports(library.load_config(shop.config), options=RunOptions(**flags), emit=events.append)
    return [event.rule for event in events if event.type == "warning"]


def test_force_without_resume_is_noted_once_and_changes_nothing(rivet, shop):
    shop.configure({}, {"name": "empty"})
    done = rivet("run", "-c", shop.config, "--force").expect(0)
    assert done.stderr.count("--force has no effect without --resume") == 1


@pytest.mark.parametrize("force", [True, False])
def test_a_full_export_that_is_resumed_starts_over(shop, force):
    library.run(shop.config)
    shop.fill(5)
    assert _warnings(shop, resume=True, force=force) == []
    assert json.loads((shop.out / "orders/manifest.json").read_text())["row_count"] == 1005


def test_exports_of_one_invocation_share_its_day(shop):
    """As children do that their parent started a second before midnight, long ago."""
    began = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
    dated = {"destination": {"type": "local", "path": "out/{date}/{export}"}}
    config = library.load_config(shop.configure(dated, {"name": "empty", **dated}))
    for name in ("orders", "empty"):
        given = Assignment(run_id=f"{name}_1", run_started_at=began)
        (report,) = run_exports(config, names=[name], assignment=given).report.exports
        assert report.started_at > began
        assert (shop.out / "2024-02-29" / name / "_SUCCESS").exists()
