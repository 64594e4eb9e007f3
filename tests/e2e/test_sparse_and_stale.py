"""Ranges that would be empty are not made, and no estimate alone takes chunks away."""

from __future__ import annotations

import json

import duckdb
import pytest
from ruamel.yaml import YAML

import rivet
from rivet.errors import RivetError

ROWS = 2000
_NUMBERS = {
    "postgresql": "SELECT g AS n FROM generate_series({0}, {1}) g",
    "mysql": "SELECT seq AS n FROM seq_{0}_to_{1}",
    "duckdb": "SELECT range AS n FROM range({0}, {1} + 1)",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT {0} UNION ALL SELECT n + 1 FROM s"
    " WHERE n < {1}) SELECT n FROM s",
}
_DAYS = {
    "postgresql": "date '1900-01-01' + CAST((n % 40) * 365 AS int)",
    "mysql": "date '1900-01-01' + INTERVAL ((n % 40) * 365) DAY",
    "duckdb": "date '1900-01-01' + CAST((n % 40) * 365 AS int)",
    "sqlite": "date('1900-01-01', '+' || ((n % 40) * 365) || ' days')",
}
CHUNKED = {"mode": "chunked", "table": "t"}
SPARSE = {
    "key": {"chunk_column": "id", "chunk_size": 10_000},
    "no_index": {"chunk_column": "other", "chunk_size": 10_000},
    "query": {"table": None, "query": "SELECT * FROM t", "chunk_column": "id", "chunk_size": 9_999},
    "days": {"chunk_column": "day", "chunk_by_days": 7},
}


def numbers(engine, first, last):
    return f"({_NUMBERS[engine.name].format(first, last)}) s"


def exported(folder, source, exports):
    path = folder / "rivet.yaml"
    listed = [
        {
            "name": name,
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            **{key: value for key, value in keys.items() if value is not None},
        }
        for name, keys in exports.items()
    ]
    with path.open("w") as file:
        YAML().dump({"source": source, "exports": listed}, file)
    report = rivet.run(path)
    return {one.export_name: one for one in report.exports}


def read(folder, name, column):
    parts = json.loads((folder / "out" / name / "manifest.json").read_text())["parts"]
    paths = [str(folder / "out" / name / part["path"]) for part in parts]
    rows = duckdb.sql(f"SELECT {column} FROM read_parquet({paths})").fetchall()
    return sorted(int(row[0]) for row in rows), len({part["chunk_index"] for part in parts})


def test_empty_stretches_are_jumped_over(engine, tmp_path):
    engine.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, other bigint, day date);"
        f"INSERT INTO t SELECT n * 100000, n * 100000, {_DAYS[engine.name]} FROM "
        f"{numbers(engine, 1, ROWS)}; CREATE INDEX by_day ON t (day); SELECT 1"
    )
    reports = exported(tmp_path, engine.source, {k: {**CHUNKED, **v} for k, v in SPARSE.items()})
    for name, report in reports.items():
        ids, chunks = read(tmp_path, name, "id")
        assert ids == [n * 100_000 for n in range(1, ROWS + 1)], name
        assert chunks == (40 if name == "days" else 1), name
        told = " ".join(report.warnings)
        assert "most of them empty" in told or "rows are one chunk" in told, name
        assert ("jumped over" in told) == (name == "days")


def test_numbers_that_are_texts_are_not_cut_as_numbers(engine, tmp_path):
    engine.execute(
        "CREATE TABLE t (id varchar(20) NOT NULL PRIMARY KEY);"
        f"INSERT INTO t SELECT CAST(n AS char(4)) FROM {numbers(engine, 1, 99)}; SELECT 1"
    )
    cut = {**CHUNKED, "chunk_column": "id"}
    with pytest.raises(RivetError, match=r"texts|no numbers"):
        exported(tmp_path, engine.source, {"a": {**cut, "chunk_size": 5}})
    exported(tmp_path, engine.source, {"b": {**cut, "chunk_size": 5, "chunk_dense": True}})
    assert read(tmp_path, "b", "trim(id)")[0] == list(range(1, 100))


def test_an_old_estimate_takes_no_chunks_away(engine, tmp_path):
    analyze = {"postgresql": "ANALYZE", "mysql": "ANALYZE TABLE t", "sqlite": "ANALYZE"}
    engine.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, v varchar(40));"
        f"INSERT INTO t SELECT n, 'x' FROM {numbers(engine, 1, 19)};"
        f"{analyze.get(engine.name, 'SELECT 1')}; SELECT 1"
    )
    if engine.name == "mysql":
        engine.execute("ALTER TABLE t STATS_AUTO_RECALC = 0, STATS_PERSISTENT = 1")
    if engine.name == "postgresql":
        engine.execute("ALTER TABLE t SET (autovacuum_enabled = off)")
    engine.execute(f"INSERT INTO t SELECT n, 'x' FROM {numbers(engine, 20, 6000)}; SELECT 1")
    ways = {
        "size": {"chunk_column": "id", "chunk_size": 1000},
        "rows": {"chunk_column": "id", "chunk_size": 1000, "chunk_dense": True},
        "itself": {"chunk_size": 1000},
    }
    exported(tmp_path, engine.source, {name: {**CHUNKED, **keys} for name, keys in ways.items()})
    for name in ways:
        ids, chunks = read(tmp_path, name, "id")
        assert ids == list(range(1, 6001)), name
        assert chunks >= 4, name
