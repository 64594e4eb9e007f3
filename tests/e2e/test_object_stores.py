"""Exports to object stores, from the command to an independent reader: crashes, resume, prune."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
from dataclasses import dataclass

import duckdb
import pytest
from typing_extensions import override

from support.buckets import AZURE_KEY, SECRET_KEY, Bucket
from support.chunked import Chunked, fill
from support.engines import SETUPS
from support.faultproxy import FaultProxy, RandomFaults
from support.stores import make_bucket

SECRETS = (SECRET_KEY, base64.b64encode(AZURE_KEY).decode())
ORDER = "ORDER BY id, code"


@dataclass
class Stored(Chunked):
    """The table of `Chunked`, exported to a bucket and read back by boto3 and DuckDB."""

    bucket: Bucket | None = None

    @property
    def prefix(self) -> str:
        """Where the files go, below an odd folder beside a neighbour of nearly that name."""
        return "a b+%20/items"

    @property
    @override
    def manifest(self):
        return json.loads(self.bucket.read(f"{self.prefix}/manifest.json"))

    @override
    def read(self):
        paths = []
        for part in self.manifest["parts"]:
            body = self.bucket.read(f"{self.prefix}/{part['path']}")
            assert len(body) == part["size_bytes"]
            path = self.folder / part["path"]
            path.write_bytes(body)
            paths.append(str(path))
        columns = "id, code, grp, CAST(day AS VARCHAR), price"
        return duckdb.sql(f"SELECT {columns} FROM read_parquet({paths}) {ORDER}").fetchall()


@pytest.fixture
def items(request, tmp_path):
    engine, store = getattr(request, "param", ("sqlite", "moto"))
    bucket = make_bucket(store)
    table = Stored(SETUPS[engine](request), tmp_path, bucket=bucket)
    table.keys = {"destination": bucket.block(prefix=f"{table.prefix}/")}
    bucket.put(f"{table.prefix}_old/x", b"kept")
    table.create(200)
    return table


@pytest.fixture
def run(rivet, items):
    def run(*arguments, fault=None):
        env = items.bucket.env | ({"RIVET_FAULT": fault} if fault else {})
        done = rivet(*arguments[:1], "-c", items.config, *arguments[1:], env=env)
        assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
        return done

    yield run
    assert items.bucket.read(f"{items.prefix}_old/x") == b"kept"
    # Azure aborts nothing, and forgets what was never committed.
    assert [name for name in items.bucket.uploads() if ".rivet-probe" not in name] == []
    told = b"".join(items.bucket.read(key) for key in items.bucket.objects())
    assert not any(secret.encode() in told for secret in SECRETS)


@pytest.mark.parametrize("items", [("postgresql", "ministack")], indirect=True)
def test_chunks_side_by_side_in_threads_and_in_processes(run, items):
    items.keys |= {"chunk_column": "id", "chunk_count": 5, "parallel": 3}
    run("run", "--validate", "--reconcile").expect(0)
    assert items.read() == items.source()
    run("run", "--parallel-export-processes").expect(0)
    assert items.read() == items.source()
    listed = run("files").expect(0).stdout.split("\n")[:-1]
    paths = [part["path"] for part in items.manifest["parts"]]
    assert listed == [f"s3://{items.bucket.name}/{items.prefix}/{path}" for path in paths]
    assert items.bucket.objects(f"{items.prefix}/_SUCCESS")


@pytest.mark.parametrize("step", ["part_stored:1", "manifest_written:0", "manifest_written:1"])
def test_a_run_that_is_killed_is_resumed(run, items, step):
    items.keys |= {"chunk_column": "id", "chunk_count": 4, "chunk_checkpoint": True}
    run("run", fault=f"kill@{step}").expect(-9)
    run("run", "--resume", "--validate").expect(0)
    assert items.read() == items.source()


@pytest.mark.parametrize("items", [("sqlite", "gcs"), ("sqlite", "azure")], indirect=True)
def test_windows_go_on_and_old_runs_are_pruned(run, items):
    items.keys |= {"mode": "incremental", "cursor_column": "id"}
    run("run").expect(0)
    first = items.manifest["run_id"]
    assert items.read() == items.source()
    fill(items.engine, 200, 50)
    run("run").expect(0)
    assert len(items.read()) == 50
    items.keys |= {"mode": "full"}
    del items.keys["cursor_column"]
    run("run").expect(0)
    run("run").expect(0)
    run("prune", "--keep", "1", "--execute").expect(0)
    assert items.read() == items.source()
    assert all(key.count(items.manifest["run_id"]) for key in items.bucket.objects() if "-0" in key)
    assert first not in items.manifest["run_id"]


def test_a_part_that_is_gone_is_found(run, items):
    items.keys |= {"chunk_column": "id", "chunk_count": 4, "chunk_checkpoint": True}
    run("run", fault="kill@part_stored:2").expect(-9)
    parts = list(items.bucket.objects(f"{items.prefix}/items_"))
    items.bucket.ask("DELETE", parts[0])
    run("run", "--resume", "--validate").expect(0)
    assert items.read() == items.source()


def test_a_bucket_that_is_not_there_is_found_before_a_row_is_read(run, items):
    items.keys["destination"] |= {"bucket": "rivet-not-there"}
    done = run("run", "--json-errors")
    assert done.code == 1
    assert "there is no such bucket" in done.stderr
    assert "RIVET_DESTINATION_NO_BUCKET" in done.stderr


def test_faults_of_the_store_are_outlived_and_counted(run, items):
    with FaultProxy(items.bucket.endpoint) as proxy:
        items.keys |= {"chunk_column": "id", "chunk_count": 6}
        items.keys["destination"] = items.bucket.block(f"{items.prefix}/", endpoint=proxy.url)
        proxy.plan = RandomFaults(seed=11, share=0.3)
        done = run("run", "--validate").expect(0)
    assert items.read() == items.source()
    assert "store retries:" in done.stderr


def test_a_lost_state_is_told_and_not_called_whole(run, items):
    items.keys |= {"mode": "incremental", "cursor_column": "id"}
    run("run").expect(0)
    shutil.rmtree(items.folder / ".rivet")
    assert "holds run" in run("run").expect(5).stderr
    done = run("repair", "--state")
    assert done.code != 0
    told = done.stdout + done.stderr
    assert "manifests in a bucket are not read" in told
    (command,) = re.findall(r"`rivet (run [^`]+)`", told)
    run(*shlex.split(command)).expect(0)
    assert items.read() == items.source()
