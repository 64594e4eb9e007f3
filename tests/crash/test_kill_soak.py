"""Two hundred kills at random moments of an export of five million rows; long, see `make soak`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time

import duckdb
import pytest

ROWS = 5_000_000
KILLS = int(os.environ.get("RIVET_SOAK_KILLS", "200"))


def _judge(out):
    manifest = json.loads((out / "manifest.json").read_text())
    files = [str(out / part["path"]) for part in manifest["parts"]]
    found = duckdb.sql(
        f"SELECT count(*), count(DISTINCT id), sum(id), sum(hash(a, b)) FROM read_parquet({files})"
    ).fetchall()
    return found[0]


@pytest.mark.soak
@pytest.mark.live("postgresql")
def test_random_kills_lose_and_double_nothing(any_postgres, rivet, tmp_path, record_property):
    any_postgres.execute(
        "CREATE TABLE big (id bigint PRIMARY KEY, a int, b text);"
        f"INSERT INTO big SELECT g, g % 1000, md5(g::text) FROM generate_series(1, {ROWS}) g;"
        "ANALYZE big"
    )
    config = tmp_path / "rivet.yaml"
    export = {
        "name": "big",
        "table": "big",
        "mode": "chunked",
        "chunk_column": "id",
        "chunk_count": 25,
        "parallel": 2,
        "keep_runs": 1,
        "format": "parquet",
        "destination": {"type": "local", "path": "out"},
    }
    source = {"type": "postgresql", "url": any_postgres.url, "tls": {"mode": "disable"}}
    config.write_text(json.dumps({"source": source, "exports": [export]}))
    rivet("run", "-c", config).expect(0)
    expected = _judge(tmp_path / "out")
    assert expected[:3] == (ROWS, ROWS, ROWS * (ROWS + 1) // 2)

    chance = random.Random(5)
    kills = finished = resumed = 0
    is_fresh = True
    while kills < KILLS:
        words = ["run", "-c", str(config)] + ([] if is_fresh else ["--resume"])
        child = rivet.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + chance.uniform(0.2, 3.0)
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
            resumed += not is_fresh
            is_fresh = chance.random() < 0.05
            continue
        assert child.returncode == 0
        finished += 1
        assert _judge(tmp_path / "out") == expected
        is_fresh = True
    rivet("run", "-c", config, *([] if is_fresh else ["--resume"]), "--validate").expect(0)
    assert _judge(tmp_path / "out") == expected
    record_property("figures", f"{kills} kills, {resumed} of resumed runs, {finished} whole runs")
    assert finished > 3
