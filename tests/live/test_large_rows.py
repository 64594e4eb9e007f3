"""A row of several large values is read wherever each of them is within `max_value_mb`."""

from __future__ import annotations

import json

import duckdb
import pytest

import rivet as library

COLUMNS = 36
SIZE = 1_000_000


def row(size):
    """Return the SELECT of one row whose values are of one size and differ."""
    values = (f"repeat('{chr(65 + at % 26)}', {size - at}) AS c{at}" for at in range(COLUMNS))
    return f"SELECT 1 AS id, {', '.join(values)}"


def run(database, engine, folder, **export):
    source = {"type": engine, "url": database.url, "tls": {"mode": "disable"}}
    source["tuning"] = {"max_value_mb": 1}
    folder.mkdir()
    path = folder / "rivet.yaml"
    named = {"name": "t", "format": "parquet", "destination": {"type": "local", "path": "out"}}
    path.write_text(json.dumps({"source": source, "exports": [{**named, **export}]}))
    return library.run(path, check=False).exports[0]


@pytest.mark.parametrize(
    ("engine", "fixture"),
    [("postgresql", "any_postgres"), ("mysql", "mariadb"), ("mysql", "mysql9")],
)
def test_values_that_are_large_together(request, engine, fixture, tmp_path):
    database = request.getfixturevalue(fixture)
    database.execute(f"CREATE VIEW t AS {row(SIZE)}")
    report = run(database, engine, tmp_path / "whole", table="t")
    assert report.is_success, report.failure
    (part,) = tmp_path.rglob("*.parquet")
    ((_, *values),) = duckdb.sql(f"SELECT * FROM read_parquet('{part}')").fetchall()
    assert values == [chr(65 + at % 26) * (SIZE - at) for at in range(COLUMNS)]
    report = run(database, engine, tmp_path / "large", query=row(1024 * 1024 + 20))
    assert report.failure.code == "RIVET_VALUE_TOO_LARGE", report.failure
    assert "'c0', row 1" in report.failure.message
