"""Runs that end early leave no thread, no staged file and no open session; names are exact."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest

import rivet as library
from support.children import paused, wait_until


def _superseded(shop):
    with contextlib.closing(sqlite3.connect(shop.directory / ".rivet/state.db")) as state:
        state.execute("UPDATE runs SET status = 'superseded', superseded_by = 'newer'")
        state.commit()


def test_a_superseded_run_leaves_the_manifest_alone(rivet, shop):
    rivet("run", "-c", shop.config).expect(0)
    before = (shop.out / "orders/manifest.json").read_bytes()
    marker = shop.directory / "marker"
    marker.touch()
    held = {"RIVET_FAULT": "pause@chunk_completed", "RIVET_FAULT_MARKER": str(marker)}
    process = type(rivet)(rivet.directory, held).start("run", "-c", shop.config)
    wait_until(lambda: paused(marker))
    _superseded(shop)
    marker.unlink()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 5, stderr
    assert (shop.out / "orders/manifest.json").read_bytes() == before


def _readers():
    return [thread.name for thread in threading.enumerate() if thread.name == "rivet-read"]


def test_a_failure_while_rows_are_read_ends_the_reader_before_the_session(shop, monkeypatch):
    shop.fill(300_000)
    config = shop.configure(
        {
            "max_file_size": "20KB",
            "columns": {"note": "text"},
            "tuning": {"batch_size": 500, "max_retries": 0},
        }
    )
    seen = []

    def look_at_the_end(event):
        if event.type == "finished":
            seen.append((_readers(), [*shop.out.rglob("*.tmp")]))

    monkeypatch.setenv("RIVET_FAULT", "error@part_stored")
    report = library.run(config, check=False, on_event=look_at_the_end)
    assert report.exports[0].failure.code == "RIVET_SOURCE_INTERRUPTED"
    assert seen == [([], [])]


@pytest.mark.parametrize("folder", ["C#", "100%25", "what?"])
def test_current_files_are_named_as_the_disk_names_them(rivet, shop, folder):
    shop.configure({"destination": {"type": "local", "path": f"out/{folder}"}})
    rivet("run", "-c", shop.config).expect(0)
    (listed,) = rivet("files", "-c", shop.config).expect(0).stdout.splitlines()
    assert [listed] == [str(path) for path in (shop.out / folder).glob("orders_*")]


def test_two_exports_cannot_share_the_standard_output(rivet, shop):
    out = {"type": "stdout"}
    shop.configure(
        {"format": "csv", "destination": out},
        {"name": "empty", "format": "csv", "destination": out},
    )
    done = rivet("run", "-c", shop.config).expect(1)
    assert done.stdout == ""
    assert "'orders'" in done.stderr
    assert "'empty'" in done.stderr
    rivet("run", "-c", shop.config, "-e", "orders").expect(0)


def test_a_summary_that_cannot_be_written_hides_no_verdict(rivet, shop):
    asked = ("run", "-c", shop.config, "--json", "--summary-output", shop.config / "sum.json")
    done = rivet(*asked).expect(1)
    assert "the run itself is complete" in done.stderr
    assert done.json["per_export"][0]["status"] == "success"
    shop.configure({"quality": {"row_count_min": 5000}})
    done = rivet(*asked).expect(3)
    assert done.json["per_export"][0]["status"] == "failed"
