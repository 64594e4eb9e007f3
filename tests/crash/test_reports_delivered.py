"""Whoever goes by exit codes misses nothing: runs whose report nobody got are named by the next."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import time

import duckdb
import pytest

import rivet as library
from rivet.errors import ExportsFailedError
from rivet.execution.many.invocation import run_exports

SOAK_KILLS = int(os.environ.get("RIVET_SOAK_KILLS", "200"))
INCREMENTAL = {"mode": "incremental", "cursor_column": "id"}


class Consumer:
    """Takes rows by exit code: from the reports of runs that ended with 0, and nothing else.

    Two more go by `rivet files` and by manifests; what they see is compared after every run.
    """

    def __init__(self, rivet, shop):
        self.rivet = rivet
        self.shop = shop
        self.ids = []
        self.run_ids = []
        self.compared = 0
        self.seen = {"rivet files": 0, "manifests": 0}

    def take(self, told):
        """Take what a report that was delivered names."""
        for one in [*told["per_export"], *told["recovered_runs"]]:
            if one["parts"]:
                self.run_ids.append(one["run_id"])
            for part in one["parts"]:
                found = _ids_of([part["uri"].removeprefix("file://")])
                assert len(found) == part["rows"]
                self.ids += found

    def compare(self, *, is_delivered):
        """Nothing doubled, nothing missing, for each of the three.

        After a kill the two others see what one of the runs so far left, whole: rows of the source
        from the first one on, and never fewer than before.
        """
        with sqlite3.connect(self.shop.database) as source:
            rows = [number for (number,) in source.execute("SELECT id FROM orders ORDER BY id")]
        assert len(self.run_ids) == len(set(self.run_ids))
        assert sorted(self.ids) == (rows if is_delivered else rows[: len(self.ids)])
        for way, found in (("rivet files", self._listed()), ("manifests", self._manifests())):
            assert sorted(found) == (rows if is_delivered else rows[: len(found)]), way
            assert len(found) >= max(self.seen[way], len(self.ids)), way
            self.seen[way] = len(found)
        self.compared += 1

    def _listed(self):
        return _ids_of(self.rivet("files", "-c", self.shop.config).expect(0).stdout.splitlines())

    def _manifests(self):
        paths = []
        for manifest in self.shop.out.glob("**/manifest-*.json"):
            told = json.loads(manifest.read_text())
            paths += [str(manifest.parent / part["path"]) for part in told["parts"]]
        return _ids_of(paths)


def _ids_of(paths):
    found = duckdb.sql(f"SELECT id FROM read_parquet({paths})").fetchall() if paths else []
    return [number for (number,) in found]


@pytest.fixture
def following(shop):
    shop.configure(INCREMENTAL)
    return shop


@pytest.mark.parametrize("fault", ["run_recorded", "finished"])
def test_a_run_whose_report_nobody_got_is_named_by_the_next(rivet, following, fault):
    kill = {"RIVET_FAULT": f"kill@{fault}:0"}
    assert rivet("run", "-c", following.config, env=kill).code == -signal.SIGKILL
    done = rivet("run", "-c", following.config, "--json").expect(0)
    (recovered,) = done.json["recovered_runs"]
    assert (recovered["rows"], recovered["mode"]) == (1000, "incremental")
    assert recovered["parts"][0]["uri"].startswith("file:///")
    assert f"1,000 rows in 1 file besides: {recovered['run_id']}" in done.stderr
    assert done.json["total_rows"] == 0
    assert rivet("run", "-c", following.config, "--json").expect(0).json["recovered_runs"] == []


def test_a_parent_that_dies_leaves_its_childrens_runs_to_the_next(rivet, shop):
    shop.configure({**INCREMENTAL, "name": "a", "table": "orders"}, {"name": "b", "table": "empty"})
    marker = shop.directory / "marker"
    marker.touch()
    pause = {"RIVET_FAULT": "pause@run_recorded:0", "RIVET_FAULT_MARKER": str(marker)}
    words = ["run", "-c", shop.config, "--parallel-export-processes", "--json"]
    parent = rivet.start(*words, env={**rivet.environment, **pause})
    deadline = time.monotonic() + 60
    while not [*shop.out.glob("a/manifest.json")] and time.monotonic() < deadline:
        time.sleep(0.02)
    with contextlib.closing(sqlite3.connect(shop.directory / ".rivet/state.db")) as state:
        done = "SELECT count(*) FROM runs WHERE status = 'success'"
        while state.execute(done).fetchone()[0] < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    parent.kill()
    parent.communicate(timeout=60)
    marker.unlink()
    (recovered,) = rivet(*words).expect(0).json["recovered_runs"]
    assert (recovered["export_name"], recovered["rows"]) == ("a", 1000)


def test_a_report_is_delivered_by_an_exit_code_of_0_alone(rivet, following):
    following.configure(INCREMENTAL, {"name": "missing"})
    first = rivet("run", "-c", following.config, "--json").expect(1).json
    (run_id,) = [one["run_id"] for one in first["per_export"] if one["rows"]]
    second = rivet("run", "-c", following.config, "--json").expect(1)
    assert [one["run_id"] for one in second.json["recovered_runs"]] == [run_id]
    third = rivet("run", "-c", following.config, "-e", "orders", "--json").expect(0)
    assert [one["run_id"] for one in third.json["recovered_runs"]] == [run_id]
    last = rivet("run", "-c", following.config, "-e", "orders", "--json").expect(0)
    assert last.json["recovered_runs"] == []
    assert len([*(following.directory / ".rivet/tellings").iterdir()]) <= 2


def test_a_report_that_is_still_to_come_is_waited_for(rivet, following):
    config = library.load_config(following.config)
    ended = run_exports(config)
    assert ended.report.rows == 1000
    assert rivet("run", "-c", following.config, "--json").expect(0).json["recovered_runs"] == []
    ended.telling.close()
    (found,) = rivet("run", "-c", following.config, "--json").expect(0).json["recovered_runs"]
    assert found["run_id"] == ended.report.exports[0].run_id


def test_a_receipt_needs_no_call_that_may_wait_for_the_disk(rivet, following):
    """What is waited for between the receipt and the exit is time for a kill to come in between."""
    assert rivet("run", "-c", following.config).code == 0
    (receipt,) = (following.directory / ".rivet/tellings").iterdir()
    assert receipt.read_bytes()[:1] == b"="
    assert rivet("run", "-c", following.config, "--json").expect(0).json["recovered_runs"] == []
    assert not receipt.exists()


def test_a_resumed_export_that_was_complete_is_named(rivet, shop):
    shop.configure({"mode": "chunked", "chunk_column": "id", "chunk_size": 400})
    assert rivet("run", "-c", shop.config, env={"RIVET_FAULT": "kill@run_recorded:0"}).code < 0
    done = rivet("run", "-c", shop.config, "--resume", "--json").expect(0).json
    assert done["per_export"][0]["status"] == "skipped"
    assert [one["rows"] for one in done["recovered_runs"]] == [1000]


def test_the_library_delivers_what_it_returns(following):
    library.run(following.config)
    following.fill(10)
    following.configure(INCREMENTAL, {"name": "m"}, {"name": "n"})
    with pytest.raises(ExportsFailedError) as caught:
        library.run(following.config)
    assert caught.value.report.recovered_runs == ()
    report = library.run(following.config, check=False)
    assert [run.rows for run in report.recovered_runs] == [10]
    assert library.run(following.config, check=False).recovered_runs == ()


def _killed_at_random(rivet, shop, kills, seed, longest_s):
    chance = random.Random(seed)
    consumer = Consumer(rivet, shop)
    killed = 0
    while killed < kills or not consumer.compared:
        shop.fill(chance.randrange(1, 20))
        process = rivet.start("run", "-c", shop.config, "--json", "--progress", "none")
        if chance.random() < 0.5:  # from the start, or from where it has begun to write
            time.sleep(chance.uniform(0.1, longest_s))
        elif _has_begun_to_write(shop, process):
            time.sleep(chance.uniform(0, longest_s / 10))
        process.send_signal(signal.SIGKILL)
        _take(consumer, process)
        killed += process.returncode != 0
    shop.fill(5)
    _take(consumer, rivet.start("run", "-c", shop.config, "--json", "--progress", "none"))
    assert len(consumer.ids) == consumer.seen["rivet files"] == consumer.seen["manifests"]
    return killed, consumer


def _take(consumer, process):
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode in {0, -signal.SIGKILL}, stderr
    if process.returncode == 0:
        consumer.take(json.loads(stdout))
    consumer.compare(is_delivered=process.returncode == 0)


def _names(folder):
    return [name for _, folders, names in os.walk(folder) for name in (*folders, *names)]


def _has_begun_to_write(shop, process):
    before = {*_names(shop.out)}
    while {*_names(shop.out)} <= before:
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    return True


FOLLOWED = {
    "incremental": INCREMENTAL,
    "keyset": {"mode": "chunked", "chunk_by_key": "id", "keyset_incremental": True},
}


@pytest.mark.parametrize("mode", FOLLOWED)
def test_kills_at_random_moments_miss_and_double_nothing(rivet, shop, mode):
    shop.configure(FOLLOWED[mode])
    killed, consumer = _killed_at_random(rivet, shop, 3, 3, 2.0)
    assert consumer.compared > killed >= 3


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", FOLLOWED)
def test_200_kills_at_random_moments_miss_and_double_nothing(rivet, shop, mode, record_property):
    shop.configure(FOLLOWED[mode])
    killed, consumer = _killed_at_random(rivet, shop, SOAK_KILLS, 5, 3.0)
    record_property("kills", killed)
    record_property("runs", consumer.compared)
    record_property("runs with rows that were delivered", len(consumer.run_ids))
    record_property("rows", len(consumer.ids))


@pytest.mark.live("postgresql")
def test_a_shared_state_knows_whose_report_was_delivered(rivet, following, postgres):
    words = ["run", "-c", following.config, "--json"]
    shared = {"RIVET_STATE_URL": postgres.url}
    env = {**shared, "RIVET_FAULT": "kill@run_recorded:0"}
    assert rivet(*words, env=env).code == -signal.SIGKILL
    alive = rivet(*words, "--summary-output=/dev/full", env=shared).expect(1).json
    (first,) = alive["recovered_runs"]
    assert first["rows"] == 1000
    again = rivet(*words, env=shared).expect(0).json
    assert [one["run_id"] for one in again["recovered_runs"]] == [first["run_id"]]
    assert rivet(*words, env=shared).expect(0).json["recovered_runs"] == []
