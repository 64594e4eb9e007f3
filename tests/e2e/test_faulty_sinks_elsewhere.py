"""A sink that fails or hangs in a worker process or a child: nothing is published or left."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from itertools import product

import pyarrow.dataset as pads
import pytest

from rivet.errors import SourceError
from rivet.execution.pool.processes import ProcessWorkers
from rivet.execution.worker.taskjson import task_to_json
from support.children import is_running, wait_until
from support.faultychild import Faults
from support.place import Place

ROWS = 6_000
CALLS = ("create", "write", "prepare", "publish")
FAILS = [*product(CALLS[1:3], ("before", "after")), ("create", "before"), ("publish", "before")]
HANGS = [*product((*CALLS, "abort"), ("before", "after"))]
SMALL = {"max_file_size": "30KB", "tuning": {"retry_backoff_ms": 1}}
ONE = SMALL | {"quality": {"row_count_min": 1}}
MANY = SMALL | {"mode": "chunked", "chunk_column": "id", "chunk_count": 4, "parallel": 2}
MANY |= {"consistency": "chunk"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "t.db"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, pad TEXT)")
        base.executemany(
            "INSERT INTO t VALUES (?, hex(randomblob(16)))", ((i,) for i in range(ROWS))
        )
    return {"type": "sqlite", "path": str(path)}


@pytest.fixture
def faults(tmp_path):
    found = Faults(tmp_path / "plan.json")
    found.none()
    return found


class Shop(Place):
    """What one export has published, and what it left."""

    @classmethod
    def at(cls, folder, source, keys):
        return cls(folder / "shop", source, keys, run_id=None)

    @property
    def out(self):
        return self.folder / self.place

    def published(self):
        manifest = (self.out / "manifest.json").read_bytes()
        names = {part["path"] for part in json.loads(manifest)["parts"]}
        found = pads.dataset([str(self.out / name) for name in names]).to_table(["id"])["id"]
        assert sorted(found.to_pylist()) == list(range(ROWS))
        return manifest, names

    def there(self):
        return {path.name for path in self.out.glob("*.parquet")}

    def staged(self):
        return list(self.out.rglob(".*"))


def _run_in(workers, shop):
    return shop.run(lambda _: workers, validate=True)


@pytest.mark.parametrize("keys", [ONE, MANY], ids=["one", "many"])
def test_a_sink_that_fails_in_a_worker_process(source, tmp_path, faults, keys):
    shop = Shop.at(tmp_path, source, keys)
    with ProcessWorkers({}, command=faults.command("tasks")) as workers:
        assert _run_in(workers, shop).status == "success"
        before, listed = shop.published()
        for call in FAILS:
            there = shop.there()
            faults.set(call, "fail", 2)
            report = _run_in(workers, shop)
            assert report.status == "failed", call
            assert "the store said no" in report.failure.message, call
            assert shop.published() == (before, listed), call
            if keys is ONE and call[0] != "publish":  # nothing is seen before the verdict
                assert shop.there() == there, call
        faults.none()
        assert _run_in(workers, shop).status == "success"
    assert shop.published()[1].isdisjoint(listed)
    assert not shop.staged()


@pytest.mark.parametrize("keys", [ONE, MANY], ids=["one", "many"])
def test_a_sink_that_hangs_in_a_worker_process(source, tmp_path, faults, keys):
    """Processes go on after it; those that end while it hangs do not wait for it."""
    shop = Shop.at(tmp_path, source, keys)
    with ProcessWorkers({}, command=faults.command("tasks")) as workers:
        assert _run_in(workers, shop).status == "success"
        before, listed = shop.published()
        for call in HANGS[keys is ONE :: 2]:
            there = shop.there()
            faults.set(call, "hang", 2)
            report = _run_in(workers, shop)
            ended_at, hung_at = time.time(), faults.marker.stat().st_mtime
            assert report.status == "failed", call
            said = "the store said no" if call[0] == "abort" else "took longer than 0.2 s"
            assert said in report.failure.message, call
            assert report.retries == 0, call
            assert ended_at - hung_at < 5, call
            assert shop.published() == (before, listed), call
            if keys is ONE and call[0] != "publish":
                assert shop.there() <= there, call  # one that had hung may have gone
    assert time.time() - ended_at < 5
    assert shop.published() == (before, listed)
    assert not shop.staged()
    assert shop.run().status == "success"
    assert shop.published()[1].isdisjoint(listed)


CHILD_FAULTS = (
    (("prepare", "after"), "fail", 2),
    (("write", "before"), "hang", 2),
    (("put_bytes", "before"), "hang", 1),
)


def test_a_sink_that_fails_or_hangs_in_a_child(rivet, source, tmp_path, faults):
    """Its sibling, at work beside it, ends well each time."""
    exports = [
        {"name": name, "table": "t", "format": "parquet", **MANY}
        | {"destination": {"type": "local", "path": f"out/{name}", "timeout_s": 1}}
        for name in ("other", "t")
    ]
    (tmp_path / "rivet.yaml").write_text(json.dumps({"source": source, "exports": exports}))
    words = ("run", "-c", tmp_path / "rivet.yaml", "--json")
    other, shop = (Shop(tmp_path, source, MANY, place=f"out/{name}") for name in ("other", "t"))
    command = json.dumps(faults.command("t"))
    for call, way, nth in CHILD_FAULTS:
        faults.set(call, way, nth)
        done = rivet(*words, "--parallel-export-processes=2", env={"RIVET_CHILD_COMMAND": command})
        ended_at = time.time()
        told = {one["export_name"]: one for one in done.json["per_export"]}
        assert [told[name]["status"] for name in ("other", "t")] == ["success", "failed"], call
        said = "the store said no" if way == "fail" else "took longer than"
        assert said in told["t"]["error_message"], call
        if way == "hang":
            assert ended_at - faults.marker.stat().st_mtime < 20, call
        other.published()
        assert not (shop.out / "manifest.json").exists(), call
        assert not other.staged() + shop.staged(), call
    rivet(*words, "-e", "t").expect(0)
    shop.published()
    assert not shop.staged()


@pytest.mark.parametrize("call", [("write", "before"), ("prepare", "after")], ids=str)
def test_ctrl_c_while_a_sink_hangs_in_a_worker_process(source, tmp_path, faults, call):
    shop = Shop.at(tmp_path, source, MANY)
    assert shop.run().status == "success"
    before, listed = shop.published()
    faults.set(call, "hang", 2)

    def interrupt():
        wait_until(faults.marker.exists)
        os.kill(os.getpid(), signal.SIGINT)

    asking = threading.Thread(target=interrupt)
    asking.start()
    with ProcessWorkers({}, command=faults.command("tasks")) as workers:
        report = _run_in(workers, shop)
    took = time.time() - faults.marker.stat().st_mtime
    asking.join()
    assert report.status == "interrupted"
    assert took < 10
    assert shop.published() == (before, listed)
    assert not shop.staged()
    assert not [pid for pid in faults.processes() if is_running(pid)]


def test_a_worker_process_whose_coordinator_was_killed(source, tmp_path, faults):
    """Nobody reads its lines any more, while it hangs in a sink."""
    shop = Shop.at(tmp_path, source, MANY)
    kept = []

    class Keeper:
        is_cancelled = False

        def cancel_all(self):
            pass

        def run(self, task, _channel):
            kept.append(task_to_json(task))
            raise SourceError("enough")

    assert shop.run(lambda _: Keeper()).failure.message == "enough"
    faults.set(("write", "before"), "hang", 1, limit_s=None)
    with subprocess.Popen(
        faults.command("tasks"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(kept[0] + "\n")
        process.stdin.flush()
        wait_until(faults.marker.exists)
        assert shop.staged()
        process.stdout.close()
        try:
            assert process.wait(20) == 128 + signal.SIGTERM
        finally:
            process.kill()
    assert not shop.staged()
    assert not shop.there()
