"""Exports that go on from their last run, on every engine: nothing lost, nothing taken twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from pathlib import Path

    from support.engines import EngineUnderTest

STAMPS = {
    "postgresql": "timestamptz",
    "mysql": "timestamp(6) NULL",
    "sqlite": "timestamp",
    "duckdb": "timestamptz",
}


class Events:
    """A table of events with a clock, and an export that follows it."""

    def __init__(self, engine: EngineUnderTest, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.keys: dict[str, Any] = {"cursor_column": "id"}
        self.execute(f"CREATE TABLE events (id bigint, ts {STAMPS[engine.name]}, name varchar(20))")

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        is_question = sql.lstrip().upper().startswith("SELECT")
        needs_rows = self.engine.name == "sqlite" and not is_question
        return self.engine.execute(f"{sql}; SELECT 1" if needs_rows else sql)

    def add(self, *rows: tuple[Any, ...]) -> None:
        for row in rows:
            values = ", ".join("NULL" if v is None else f"'{v}'" for v in (*row, None, None)[:3])
            self.execute(f"INSERT INTO events (id, ts, name) VALUES ({values})")

    @property
    def config(self) -> Path:
        export = {
            "name": "events",
            "table": "events",
            "mode": "incremental",
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            **self.keys,
        }
        path = self.folder / "rivet.yaml"
        with path.open("w") as file:
            YAML().dump({"source": self.engine.source, "exports": [export]}, file)
        return path

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / "out" / "manifest.json").read_text())

    def rows(self, column: str = "id") -> list[Any]:
        """Return what the last run took."""
        files = [str(self.folder / "out" / part["path"]) for part in self.manifest["parts"]]
        if not files:
            return []
        found = duckdb.sql(f"SELECT {column} FROM read_parquet({files}) ORDER BY ALL").fetchall()
        return [value for (value,) in found]


@pytest.fixture
def events(engine, tmp_path):
    return Events(engine, tmp_path)


def test_each_run_takes_what_is_new(rivet, events):
    events.add((9, None), (10, None))
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [9, 10]
    before = (events.folder / "out" / "manifest.json").read_bytes()
    for _ in range(2):
        done = rivet("run", "-c", events.config, "--json").expect(0)
        assert done.json["total_rows"] == 0
        assert (events.folder / "out" / "manifest.json").read_bytes() == before
    events.add((11, None), (100, None), (1000, None))
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [11, 100, 1000]  # by number, not by text
    assert events.manifest["source"]["extraction"]["cursor_low"] == "10"
    assert events.manifest["source"]["extraction"]["cursor_high"] == "1000"


def test_rows_without_a_cursor_come_with_the_first_run(rivet, events):
    events.add((None, None), (1, None))
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [1, None]
    events.add((2, None))
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [2]


def test_windows_on_the_clock_are_half_open(rivet, events):
    events.keys = {"cursor_column": "ts"}
    events.add((1, "2024-05-01 00:00:00"), (2, "2024-05-01 12:00:00.5"), (3, "2999-01-01 00:00:00"))
    if events.engine.name == "mysql":
        events.execute("UPDATE events SET ts = '2037-01-01 00:00:00' WHERE id = 3")
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [1, 2]  # what lies in the future waits for its time
    events.add((4, "2024-05-01 12:00:00.5"))
    rivet("run", "-c", events.config, "--json").expect(0)
    assert events.rows() == [1, 2]
    # The watermark is what was read, not the clock: what comes between the two is not passed over.
    events.add((5, "2024-06-01 00:00:00"))
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [5]
    assert "2024-06-01" in events.manifest["source"]["extraction"]["cursor_high"]
    events.keys["lookback"] = "20000d"
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [1, 2, 4, 5]
    assert events.manifest["source"]["extraction"]["cursor_overlap"] is not None


def test_rows_without_a_cursor_that_come_later_are_told_of(rivet, events):
    events.keys = {"cursor_column": "ts"}
    events.add((1, "2024-05-01 00:00:00"), (2, "2024-05-02 00:00:00"))
    rivet("run", "-c", events.config).expect(0)
    done = rivet("run", "-c", events.config, "--json").expect(0)
    assert done.json["per_export"][0]["not_covered"] == []
    events.add((3, None), (4, "2024-05-03 00:00:00"))
    done = rivet("run", "-c", events.config, "--json").expect(0)
    assert events.rows() == [4]
    (said,) = done.json["per_export"][0]["not_covered"]
    assert said.startswith("there are rows without a 'ts' (NULL)")
    events.keys["strict"] = True
    refused = rivet("run", "-c", events.config).expect(5)
    assert "RIVET_REFUSED_NOT_COVERED" in refused.stderr


def test_coalesce_goes_by_either_column(rivet, events):
    events.keys = {
        "cursor_column": "ts",
        "cursor_fallback_column": "seen_at",
        "incremental_cursor_mode": "coalesce",
    }
    events.execute(f"ALTER TABLE events ADD seen_at {STAMPS[events.engine.name]}")
    events.add((1, "2024-05-01 00:00:00"), (2, None), (3, None))
    events.execute("UPDATE events SET seen_at = '2024-05-02 00:00:00' WHERE id = 2")
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [1, 2, 3]
    assert "seen_at" in duckdb.sql(f"SELECT * FROM '{events.folder}/out/*.parquet'").columns
    done = rivet("run", "-c", events.config, "--json").expect(0)
    assert done.json["total_rows"] == 0


def test_fresh_and_reset_begin_anew(rivet, events):
    events.add((1, None), (2, None))
    rivet("run", "-c", events.config).expect(0)
    rivet("run", "-c", events.config, "--fresh").expect(0)
    assert events.rows() == [1, 2]
    assert (
        "forgotten" in rivet("state", "reset", "-c", events.config, "-e", "events").expect(0).stdout
    )
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [1, 2]


def test_a_backfill_leaves_the_live_cursor_alone(rivet, events):
    events.add(*((n, None) for n in range(1, 8)))
    rivet("run", "-c", events.config).expect(0)
    live = (events.folder / "out" / "manifest.json").read_bytes()
    events.add((8, None))
    done = rivet(
        "backfill", "-c", events.config, "-e", "events", "--from", "3", "--to", "6"
    ).expect(0)
    assert "events.backfill" in done.stderr
    assert (events.folder / "out" / "manifest.json").read_bytes() == live
    filled = json.loads((events.folder / "out" / "backfill" / "manifest.json").read_text())
    assert filled["row_count"] == 3
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [8]


def test_a_cursor_of_another_type_is_not_mixed_with_the_old_one(rivet, events):
    events.add((1, "2024-05-01 00:00:00"))
    rivet("run", "-c", events.config).expect(0)
    events.execute("DROP TABLE events")
    stamp = STAMPS[events.engine.name]
    events.execute(f"CREATE TABLE events (id {stamp}, ts {stamp}, name varchar(20))")
    done = rivet("run", "-c", events.config).expect(1)
    assert "number" in done.stderr
    assert f"rivet state reset -c {events.config} -e events" in done.stderr


def test_what_is_no_cursor_is_refused(rivet, events):
    events.keys = {"cursor_column": "idd"}
    assert "'idd'" in rivet("run", "-c", events.config).expect(1).stderr


def test_a_window_that_is_not_guaranteed_can_be_refused(rivet, events):
    events.add((1, None))
    events.keys = {"cursor_column": "id", "strict_cursor": True}
    done = rivet("run", "-c", events.config).expect(1)
    assert "not guaranteed" in done.stderr
    events.keys = {"cursor_column": "id", "settle": {"after": "10m"}}
    assert "is no timestamp" in rivet("run", "-c", events.config).expect(1).stderr
    assert not (events.folder / "out").exists() or not list((events.folder / "out").glob("*"))


def test_lookback_counts_exactly(rivet, events):
    first = 1_800_000_000_000_000_129
    events.keys = {"cursor_column": "id", "lookback": "10"}
    events.add(*((first - n, None) for n in (0, 10, 11)))
    rivet("run", "-c", events.config).expect(0)
    events.add((first - 5, None))
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [first - 10, first - 5, first]
    assert events.manifest["source"]["extraction"]["cursor_low"] == str(first - 10)


def test_the_last_days(rivet, events):
    events.keys = {"mode": "time_window", "time_column": "ts", "days_window": 3}
    now = duckdb.sql("SELECT CAST(now() AT TIME ZONE 'UTC' AS date)").fetchall()[0][0]
    day = duckdb.sql(f"SELECT DATE '{now}' - 3, DATE '{now}' - 4").fetchall()[0]
    events.add(
        (1, f"{day[0]} 00:00:00"),
        (2, f"{day[1]} 23:59:59.999999"),
        (3, f"{now} 00:00:00"),
        (4, None),
    )
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [1, 3]
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [1, 3]


STEPS = ("part_stored", "part_recorded", "manifest_written:1", "success_written")


@pytest.mark.parametrize("step", STEPS)
def test_the_cursor_is_never_ahead_of_the_files(rivet, events, step):
    if events.engine.name in {"duckdb", "mysql"}:
        pytest.skip("the other engines run the same loop")
    events.add((1, None))
    rivet("run", "-c", events.config).expect(0)
    events.add((2, None), (3, None))
    assert rivet("run", "-c", events.config, env={"RIVET_FAULT": f"kill@{step}"}).code == -9
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [2, 3]
    events.add((4, None))
    rivet("run", "-c", events.config).expect(0)
    assert events.rows() == [4]
