"""Cursors in SQLite and DuckDB files: texts of several forms, infinities, unsigned numbers."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import rivet as library

if TYPE_CHECKING:
    from pathlib import Path


class Filed:
    """A file with one table, and an incremental export that follows it."""

    def __init__(self, engine: str, folder: Path, kind: str) -> None:
        self.engine, self.folder = engine, folder
        self.keys: dict[str, Any] = {}
        self.execute(f"CREATE TABLE t (id bigint, ts {kind})")

    def execute(self, sql: str) -> None:
        path = self.folder / f"source.{self.engine}"
        if self.engine == "duckdb":
            with duckdb.connect(str(path)) as connection:
                connection.execute(sql)
            return
        with sqlite3.connect(path) as file:
            file.execute(sql)
        file.close()

    def add(self, number: int, value: str) -> None:
        self.execute(f"INSERT INTO t VALUES ({number}, {value})")

    def run(self) -> Any:
        export = {
            "name": "t",
            "table": "t",
            "mode": "incremental",
            "cursor_column": "ts",
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            **self.keys,
        }
        path = self.folder / f"source.{self.engine}"
        source = {"type": self.engine, "url": f"{self.engine}:///{path}"}
        config = self.folder / "rivet.yaml"
        config.write_text(json.dumps({"source": source, "exports": [export]}))
        return library.run(config).exports[0]

    def taken(self) -> list[int]:
        files = [str(path) for path in (self.folder / "out").glob("*.parquet")]
        if not files:
            return []
        return [
            n for (n,) in duckdb.sql(f"SELECT id FROM read_parquet({files}) ORDER BY 1").fetchall()
        ]


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
def test_one_moment_is_one_value_however_it_is_written(tmp_path, kind, is_indexed):
    filed = Filed("sqlite", tmp_path, kind)
    if is_indexed:
        filed.execute("CREATE INDEX t_ts ON t (ts)")
    filed.add(1, "'2024-05-01T10:00:00'")
    filed.add(2, "'2024-05-01 09:00'")
    filed.run()
    assert filed.taken() == [1, 2]
    # As texts these come before the last one, in time they come after it.
    filed.add(3, "'2024-05-01 10:00:00.25'")
    filed.add(4, "'2024-05-01T10:00:00.000'")  # the last one again
    filed.run()
    assert filed.taken() == [1, 2, 3]
    if kind == "timestamptz":
        filed.add(5, "'2024-05-01 09:00:00-03:00'")
        filed.add(6, "'2024-05-02 01:00:00+23:00'")
        filed.run()
        assert filed.taken() == [1, 2, 3, 5]
    filed.keys = {"lookback": "2h"}
    filed.add(7, "'2024-05-01T12:00:00.5'")
    filed.run()
    assert 7 in filed.taken()


def test_seconds_of_an_override_are_moments_too(tmp_path):
    filed = Filed("sqlite", tmp_path, "timestamp")
    filed.keys = {"columns": {"ts": "timestamp"}}
    filed.add(1, "'2024-05-01 10:00:00'")
    filed.run()
    filed.add(2, "1714644000")  # the day after
    filed.run()
    assert filed.taken() == [1, 2]


@pytest.mark.parametrize(
    ("engine", "kind", "policy"),
    [
        ("duckdb", "timestamp", {"out_of_range": "null"}),
        ("duckdb", "timestamptz", {"out_of_range": "null"}),
        ("duckdb", "date", {"out_of_range": "null"}),
        ("sqlite", "decimal(10,2)", {"non_finite": "null"}),
    ],
)
def test_infinities_are_no_watermark(tmp_path, engine, kind, policy):
    filed = Filed(engine, tmp_path, kind)
    filed.keys = {"types": policy}
    up, down = ("9e999", "-9e999") if engine == "sqlite" else ("'infinity'", "'-infinity'")
    first, second = ("1", "2") if engine == "sqlite" else ("'2024-05-01'", "'2024-05-02'")
    filed.add(100, up)
    filed.add(101, down)
    filed.add(1, first)
    filed.run()
    assert filed.taken() == [1, 100, 101]
    filed.add(2, second)
    report = filed.run()
    assert filed.taken() == [1, 2, 100, 101]
    assert any("2 rows have no finite 'ts'" in one for one in report.not_covered)


@pytest.mark.parametrize("kind", ["tinyint", "utinyint", "ubigint", "hugeint", "timestamp_ns"])
def test_every_number_can_be_looked_back_from(tmp_path, kind):
    filed = Filed("duckdb", tmp_path, kind)
    is_time = kind == "timestamp_ns"
    filed.keys = {"lookback": "10" if is_time else "200"}
    filed.add(1, "'2024-05-01 00:00:05.000000001'" if is_time else "5")
    filed.run()
    filed.add(2, "'2024-05-01 00:00:04.999999999'" if is_time else "4")
    filed.add(3, "'2024-05-01 00:00:05.000000002'" if is_time else "6")
    filed.run()
    assert filed.taken() == [1, 1, 2, 3]


def test_a_wall_clock_in_a_file_needs_a_zone(tmp_path):
    filed = Filed("duckdb", tmp_path, "timestamp")
    filed.add(1, "now() AT TIME ZONE 'UTC' + INTERVAL 5 HOUR")
    assert "set `cursor_zone`" in filed.run().guarantee
    assert filed.taken() == []
    filed.keys = {"cursor_zone": "Pacific/Kiritimati"}
    assert filed.run().guarantee.startswith("complete")
    assert filed.taken() == [1]
