"""Exports to object stores through random faults, and with kills; many of them in `make soak`."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import pyarrow.parquet as pq
import pytest

from support.buckets import KINDS, SECRET_KEY, Bucket
from support.faultproxy import FaultProxy, RandomFaults
from support.stores import make_bucket

RUNS = int(os.environ.get("RIVET_SOAK_STORE_RUNS", "200"))
KILLS = int(os.environ.get("RIVET_SOAK_STORE_KILLS", "100"))
STORES = list(KINDS)
ROWS = 400
LARGE_ROWS, LARGE_BYTES = 100, 96 << 10  # the first of four chunks takes a multipart upload


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A table of which one quarter is large, and its rows by their checksums."""
    path = tmp_path_factory.mktemp("source") / "source.db"
    bodies = random.Random(3)
    rows = [
        (number, bodies.randbytes(LARGE_BYTES if number <= LARGE_ROWS else 9))
        for number in range(1, ROWS + 1)
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, body blob NOT NULL)")
        database.executemany("INSERT INTO t VALUES (?, ?)", rows)
    return path, {(number, hashlib.md5(body).digest()) for number, body in rows}


def configured(folder, source, block):
    path = folder / "rivet.yaml"
    export = {
        "name": "t",
        "table": "t",
        "mode": "chunked",
        "chunk_column": "id",
        "chunk_count": 4,
        "chunk_checkpoint": True,
        "parallel": 2,
        "format": "parquet",
        "compression": "none",
        "tuning": {"retry_backoff_ms": 1},
        "destination": block,
    }
    path.write_text(
        json.dumps(
            {"source": {"type": "sqlite", "url": f"sqlite:///{source}"}, "exports": [export]}
        )
    )
    return path


def published(bucket: Bucket):
    """Rows as a reader of the manifest has them; every object that looks whole is whole."""
    sizes = bucket.objects("out/")
    manifest = json.loads(bucket.read("out/manifest.json"))
    told = {f"out/{part['path']}": part for part in manifest["parts"]}
    rows: list[tuple[int, bytes]] = []
    for key, size in sizes.items():
        if not key.endswith(".parquet"):
            continue
        body = bucket.read(key)
        assert len(body) == size
        table = pq.read_table(BytesIO(body))
        if key in told:
            assert (size, table.num_rows) == (told[key]["size_bytes"], told[key]["rows"])
            found = table.select(["id", "body"]).to_pylist()
            rows += [(row["id"], hashlib.md5(row["body"]).digest()) for row in found]
    assert told.keys() <= sizes.keys()
    assert "out/_SUCCESS" in sizes
    return rows


def judge(bucket: Bucket, expected) -> None:
    rows = published(bucket)
    assert len(rows) == len(expected)
    assert set(rows) == expected


class Watched(RandomFaults):
    """Random faults that know how many uploads were begun and their answer lost."""

    lost = 0

    def __call__(self, request):
        fault = super().__call__(request)
        if fault and request.kind == "start" and not fault.status and not fault.after_s:
            self.lost += 1
        return fault


def store_of(seed: int, is_long: bool) -> str:
    return STORES[seed % len(STORES)] if is_long else ("moto", "gcs")[seed % 2]


def run_through_faults(rivet, folder, source, seed: int, store: str, figures: Counter) -> None:
    path, expected = source
    bucket = make_bucket(store)
    runner = replace(rivet, variables=bucket.env)
    with FaultProxy(bucket.endpoint) as proxy:
        proxy.plan = plan = Watched(seed, share=0.12)
        config = configured(folder, path, bucket.block("out", proxy.url))
        done = runner("run", "-c", config, "--validate")
        if done.code:
            figures["runs that failed and were resumed"] += 1
            assert "RIVET_DESTINATION" in done.stderr + done.stdout, done
            proxy.plan = lambda _: None
            runner("run", "-c", config, "--resume").expect(0)
        assert SECRET_KEY not in done.stdout + done.stderr
    judge(bucket, expected)
    figures["runs"] += 1
    figures["requests"] += proxy.seen.total()
    figures["faults"] += proxy.faults
    dangling = [key for key in bucket.uploads() if ".rivet-probe" not in key]
    figures["uploads whose begin was answered to nobody"] += len(dangling)
    assert len(dangling) <= plan.lost


def run_with_kills(rivet, folder, source, seed: int, store: str, figures: Counter) -> None:
    path, expected = source
    bucket = make_bucket(store)
    runner = replace(rivet, variables=bucket.env)
    chance = random.Random(seed)
    with FaultProxy(bucket.endpoint) as proxy:
        proxy.plan = plan = Watched(seed, share=0.05)
        config = configured(folder, path, bucket.block("out", proxy.url))
        words = ["run", "-c", str(config)]
        child = runner.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Within the requests of a run, whatever the machine: after this many of them.
        last = chance.randrange(1, 18)
        pause = chance.random() / 20
        while child.poll() is None and proxy.seen.total() < last:
            time.sleep(0.002)
        time.sleep(pause)
        figures["killed" if child.poll() is None else "over before"] += 1
        child.kill()
        child.wait()
        proxy.plan = lambda _: None
        runner(*words, "--resume").expect(0)
    judge(bucket, expected)
    dangling = [key for key in bucket.uploads() if ".rivet-probe" not in key]
    figures["uploads left by kills"] += len(dangling)
    assert len(dangling) <= 1 + plan.lost  # the one large part was on its way


@pytest.mark.parametrize("seed", range(6))
def test_random_faults_lose_and_double_nothing(rivet, tmp_path, source, seed) -> None:
    run_through_faults(rivet, tmp_path, source, seed, store_of(seed, False), Counter())


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_loses_and_doubles_nothing(rivet, tmp_path, source, seed) -> None:
    run_with_kills(rivet, tmp_path, source, seed, store_of(seed, False), Counter())


@pytest.mark.soak
def test_many_runs_through_faults(rivet, tmp_path, source, record_property) -> None:
    figures: Counter[str] = Counter()
    for seed in range(100, 100 + RUNS):
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        run_through_faults(rivet, folder, source, seed, store_of(seed, True), figures)
    record_property("figures", dict(figures))


@pytest.mark.soak
def test_many_kills(rivet, tmp_path, source, record_property) -> None:
    figures: Counter[str] = Counter()
    for seed in range(100, 100 + KILLS):
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        run_with_kills(rivet, folder, source, seed, store_of(seed, True), figures)
    record_property("figures", dict(figures))
