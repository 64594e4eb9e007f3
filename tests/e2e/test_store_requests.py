"""How many requests a run makes of its object store: they cost money, and wait for the network."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from support.faultproxy import FaultProxy
from support.stores import make_bucket

CHUNKS = 5


@pytest.fixture
def asked(rivet, tmp_path):
    """Run a command on an export of some chunks, and return what was asked of its store."""
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, body text)")
        database.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * n) for n in range(100)])
    bucket = make_bucket("moto")
    with FaultProxy(bucket.endpoint) as proxy:
        export = {
            "name": "t",
            "table": "t",
            "mode": "chunked",
            "chunk_column": "id",
            "chunk_count": CHUNKS,
            "format": "parquet",
            "destination": bucket.block("out", proxy.url),
        }
        config = tmp_path / "rivet.yaml"
        source = {"type": "sqlite", "url": f"sqlite:///{path}"}
        config.write_text(json.dumps({"source": source, "exports": [export]}))
        runner = replace(rivet, variables=bucket.env)

        def run(*words: str) -> dict[str, int]:
            proxy.seen.clear()
            runner(*words, "-c", config).expect(0)
            return dict(proxy.seen)

        yield run


def test_the_requests_of_a_run_are_few(asked) -> None:
    opened = {"start": 1, "part": 1, "abort": 1}  # the right to write is proven
    written = {"put": CHUNKS + 3}  # the parts, the manifest of the run and of the prefix, _SUCCESS
    # The manifest that is there is looked for by both its names, before the run and at its end.
    assert asked("run") == opened | written | {"get": 4}
    assert asked("run", "--validate") == opened | written | {"get": 6, "head": CHUNKS}
    assert asked("files") == {}
    pruned = asked("prune", "--keep", "1", "--execute")
    assert pruned == opened | {"delete": CHUNKS + 1}  # and the manifest of that run
