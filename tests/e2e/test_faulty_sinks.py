"""A sink that fails at any call: nothing is published, nothing is left, what was there stays."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

import rivet
from rivet.destinations import local
from rivet.errors import DestinationError, DestinationUnavailableError
from support.sinks import WatchedSink

ROWS = 400_000
CALLS = [
    ("create", "before"),
    ("write", "before"),
    ("write", "after"),
    ("prepare", "before"),
    ("prepare", "after"),
    ("publish", "before"),
]
RULES = {"row_count_min": 1}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("source") / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"CREATE TABLE t AS SELECT range AS id, md5(range::text) AS pad FROM range({ROWS})"
        )
    return path


class Faults:
    """Fails the `nth` time that a call is made, and every abort."""

    def __init__(self, call: tuple[str, str], nth: int, error: Exception) -> None:
        self.call, self.left, self.error = call, nth, error
        self.aborts = 0

    def __call__(self, call: str, when: str) -> None:
        if call == "abort":
            self.aborts += 1
            raise RuntimeError("an abort that fails")
        if (call, when) == self.call:
            self.left -= 1
            if self.left == 0:
                raise self.error


@pytest.fixture
def faulty(monkeypatch):
    """Have every sink of a local destination fail as it is told."""

    def install(faults: Faults) -> None:
        create = local.LocalDestination.create

        def begin(self: local.LocalDestination, name: str) -> local.LocalSink:
            faults("create", "before")
            made = create(self, name)
            made.__class__ = WatchedSink
            made.watch = faults
            return made

        monkeypatch.setattr(local.LocalDestination, "create", begin)

    return install


def config_of(base: Path, folder: Path, **keys: object) -> Path:
    export = {"name": "t", "table": "t", "format": "parquet", "max_file_size": "1MB", **keys}
    export["destination"] = {"type": "local", "path": "out"}
    export["tuning"] = {"retry_backoff_ms": 1}
    path = folder / "rivet.yaml"
    source = {"type": "duckdb", "path": str(base)}
    path.write_text(json.dumps({"source": source, "exports": [export]}))
    return path


def published(folder: Path) -> tuple[bytes, int]:
    """Return the manifest, and the rows that a reader of it finds."""
    manifest = (folder / "out" / "manifest.json").read_bytes()
    parts = [str(folder / "out" / part["path"]) for part in json.loads(manifest)["parts"]]
    ((count,),) = duckdb.sql(f"SELECT count(DISTINCT id) FROM read_parquet({parts})").fetchall()
    return manifest, count


@pytest.mark.parametrize("keys", [{}, {"quality": RULES}], ids=["plain", "gate"])
@pytest.mark.parametrize("call", CALLS, ids=".".join)
def test_a_sink_that_fails_publishes_nothing(base, tmp_path, faulty, call, keys) -> None:
    config = config_of(base, tmp_path, **keys)
    rivet.run(config)
    before = published(tmp_path)
    assert before[1] == ROWS
    faults = Faults(call, 2, DestinationError("the store said no"))
    with pytest.MonkeyPatch.context():
        faulty(faults)
        (report,) = rivet.run(config, check=False, validate=True).exports
    assert not report.is_success
    assert "the store said no" in report.failure.message
    assert faults.aborts
    assert published(tmp_path) == before
    assert not list((tmp_path / "out").rglob(".*"))  # no staged file
    if keys:  # nothing may be seen before the gate has judged; a publish may fail in the middle
        names = {path.name for path in (tmp_path / "out").glob("*.parquet")}
        listed = {part["path"] for part in json.loads(before[0])["parts"]}
        assert (names == listed) == (call[0] != "publish")


def test_a_sink_that_fails_once_is_tried_again(base, tmp_path, faulty) -> None:
    config = config_of(base, tmp_path, max_file_size="1GB")
    faulty(Faults(("prepare", "before"), 1, DestinationUnavailableError("away")))
    (report,) = rivet.run(config, validate=True).exports
    assert report.retries == 1
    assert published(tmp_path)[1] == ROWS
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 1
