"""A sink that fails or hangs at any call: nothing is published, nothing is left, the end comes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from itertools import product
from pathlib import Path

import pyarrow.dataset as pads
import pytest

import rivet
from rivet.errors import DestinationError, DestinationUnavailableError
from support.children import wait_until
from support.sinks import Gate, hanging, watched_sinks

ROWS = 6_000
FAILS = [
    ("create", "before"),
    *product(("write", "prepare"), ("before", "after")),
    ("publish", "before"),
]
HANGS = [*product(("create", "write", "prepare", "publish", "abort"), ("before", "after"))]
"""Before and after doing it, in turn."""
HUNG_S = 0.2
"""What a call may take once one hangs; a disk that is busy is given more."""

ONE = {}
MANY = {"mode": "chunked", "chunk_column": "id", "chunk_count": 4, "parallel": 2}
RULES = {"quality": {"row_count_min": 1}}


class Shop:
    """One export, run again and again."""

    def __init__(self, url: str, folder: Path, **keys: object) -> None:
        self.path, self.out = folder / "rivet.yaml", folder / "out"
        export = {"name": "t", "table": "t", "format": "parquet", "max_file_size": "60KB"}
        export |= {"destination": {"type": "local", "path": "out"}, **keys}
        export["tuning"] = {"retry_backoff_ms": 1}
        source = {"type": "postgres", "url": url, "tls": {"mode": "disable"}}
        self.path.write_text(json.dumps({"source": source, "exports": [export]}))

    def run(self, **more: object):
        (report,) = rivet.run(self.path, check=False, **more).exports
        return report

    def published(self) -> tuple[bytes, set[str]]:
        """Return the manifest, and the parts it lists, which hold all rows."""
        manifest = (self.out / "manifest.json").read_bytes()
        names = {part["path"] for part in json.loads(manifest)["parts"]}
        found = pads.dataset([str(self.out / name) for name in names]).to_table(["id"])["id"]
        assert sorted(found.to_pylist()) == list(range(1, ROWS + 1))
        return manifest, names

    def there(self) -> set[str]:
        return {path.name for path in self.out.glob("*.parquet")}

    def staged(self) -> list[Path]:
        return list(self.out.rglob(".*"))


@pytest.fixture(scope="module")
def url(any_postgres_server):
    with any_postgres_server.fresh_database() as database:
        sql = f"select g::int as id, md5(g::text) as pad from generate_series(1, {ROWS}) g"
        database.execute(f"create table t as {sql}")
        database.execute("alter table t add primary key (id)")
        yield database.url


class Failing(Gate):
    """Raises at the call instead of holding it, and at every abort."""

    error: Exception = DestinationError("the store said no")

    def hold(self) -> None:
        raise self.error

    def __call__(self, call: str, when: str) -> None:
        super().__call__(call, when)
        if (call, when) == ("abort", "after"):
            raise RuntimeError("an abort that fails")


class Hanging(Gate):
    """Hangs at the call; at an abort, which only a failure brings about, after one."""

    began = 0.0

    def hold(self) -> None:
        self.began, self.limits.timeout_s = time.monotonic(), HUNG_S
        super().hold()

    def __call__(self, call: str, when: str) -> None:
        super().__call__(call, when)
        is_third = call == "prepare" and self.seen[call, "before"] == 3
        if self.call[0] == "abort" and is_third:
            raise DestinationError("the store said no")


@pytest.mark.parametrize("keys", [ONE, ONE | RULES, MANY, MANY | RULES], ids=str)
def test_a_sink_that_fails_publishes_nothing(url, tmp_path, keys) -> None:
    shop = Shop(url, tmp_path, **keys)
    assert shop.run().is_success
    before, listed = shop.published()
    for call in FAILS:
        there = shop.there()
        faults = Failing(call, 2)
        with watched_sinks(faults):
            report = shop.run(validate=True)
        assert not report.is_success, call
        assert "the store said no" in report.failure.message, call
        assert faults.seen["abort", "after"] or call[0] == "create", call
        assert shop.published() == (before, listed), call
        assert not shop.staged(), call
        if keys == ONE | RULES and call[0] != "publish":  # nothing is seen before the verdict
            assert shop.there() == there, call
    assert shop.run().is_success
    assert shop.published()[1].isdisjoint(listed)


@pytest.mark.parametrize("keys", [ONE, ONE | RULES, MANY, MANY | RULES], ids=str)
def test_a_sink_that_hangs_publishes_nothing_and_holds_nothing_up(
    url, tmp_path, rivet, keys
) -> None:
    shop = Shop(url, tmp_path, **keys)
    assert shop.run().is_success
    before, listed = shop.published()
    for call in HANGS if "quality" not in keys else HANGS[::2]:
        there = shop.there()
        gate = Hanging(call, 1 if call[0] == "abort" else 2)
        with watched_sinks(gate):
            report = shop.run(validate=True)
        took = time.monotonic() - gate.began
        assert not report.is_success, call
        if call[0] == "abort":
            assert "the store said no" in report.failure.message, call
        else:
            assert report.failure.code == "RIVET_DESTINATION_TIMEOUT", call
            assert "took longer than 0.2 s" in report.failure.message
        assert took < 5, call
        assert report.retries == 0, call
        assert shop.published() == (before, listed), call
        seen = shop.there()
        gate.opened.set()
        wait_until(lambda: all(one.name != "rivet-upload" for one in threading.enumerate()))
        assert not shop.staged(), call
        assert shop.there() <= seen, call
        assert shop.published() == (before, listed), call
        if keys == ONE | RULES and call[0] != "publish":
            assert shop.there() == there, call
    assert shop.run().is_success
    assert shop.published()[1].isdisjoint(listed)
    told = rivet("files", "-c", shop.path, "-e", "t").expect(0).stdout.split()
    assert {Path(line).name for line in told} == shop.published()[1]


def test_a_sink_that_fails_once_is_tried_again(url, tmp_path) -> None:
    shop = Shop(url, tmp_path, max_file_size="1GB")
    faults = Failing(("prepare", "before"))
    faults.error = DestinationUnavailableError("away")
    with watched_sinks(faults):
        report = shop.run(validate=True)
    assert report.retries == 1
    assert shop.published()[1] == shop.there()
    assert len(shop.there()) == 1


@pytest.mark.parametrize(
    ("call", "keys", "flags"),
    [
        ("prepare.before", MANY, ()),
        ("publish.before", ONE, ("--parallel-exports",)),
        ("close.before", ONE, ()),
        ("put_bytes.before", MANY, ()),
    ],
)
def test_ctrl_c_ends_a_run_whose_sink_hangs(url, tmp_path, call, keys, flags) -> None:
    shop = Shop(url, tmp_path, **keys)
    marker = tmp_path / "hangs"
    with hanging(call, marker, "run", "-c", shop.path, *flags) as process:
        wait_until(marker.exists)
        asked_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert time.monotonic() - asked_at < 5  # about two, where the machine is idle
    is_published = call == "close.before"  # all was done before it
    assert (shop.out / "manifest.json").exists() == is_published
    assert shop.run().is_success
    assert not shop.staged()
    shop.published()


def test_ctrl_c_ends_a_run_whose_output_is_not_read(url, tmp_path) -> None:
    destination = {"type": "stdout"}
    shop = Shop(url, tmp_path, destination=destination, format="csv", max_file_size=None)
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "rivet", "run", "-c", str(shop.path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert select.select([process.stdout], [], [], 30)[0]
        time.sleep(0.2)  # until the pipe is full
        asked_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130, process.stderr.read()
        assert time.monotonic() - asked_at < 5
        assert b"Fatal Python error" not in process.stderr.read()
    assert not list(tmp_path.glob("rivet-stdout-*"))
