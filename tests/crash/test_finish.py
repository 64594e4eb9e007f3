"""The finish of a run is one step: whatever ends it, its rows are taken once and by one run."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

REFUSES = "CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN NEW.export_name <> '' {body}"
BODY = "BEGIN SELECT RAISE(ABORT, 'no'); END"


class Followed:
    """A table that grows, and an export of it that goes on from its last run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = 0
        self.keys = {"mode": "incremental", "cursor_column": "id"}
        self.add(3)

    def sql(self, text: str, *, state: bool = False) -> list[tuple]:
        place = self.folder / (".rivet/state.db" if state else "events.db")
        with closing(sqlite3.connect(place)) as db, db:
            return db.execute(text).fetchall()

    def add(self, count: int) -> None:
        self.sql("CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, name TEXT)")
        for _ in range(count):
            self.last += 1
            self.sql(f"INSERT INTO events VALUES ({self.last}, 'n{self.last}')")

    @property
    def config(self) -> Path:
        export = {
            "name": "events",
            "table": "events",
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            **self.keys,
        }
        source = {"type": "sqlite", "path": "events.db"}
        path = self.folder / "rivet.yaml"
        path.write_text(json.dumps({"source": source, "exports": [export]}))
        return path

    def ids(self) -> list[int]:
        """Return what all published runs took together, as a reader of each manifest has it."""
        found: list[int] = []
        for manifest in self.folder.glob("out*/**/manifest-*.json"):
            parts = json.loads(manifest.read_text())["parts"]
            files = [str(manifest.parent / part["path"]) for part in parts]
            found += [n for (n,) in duckdb.sql(f"SELECT id FROM read_parquet({files})").fetchall()]
        return sorted(found)

    def recorded(self) -> int:
        """Return the rows of all runs that are on record as good."""
        sql = "SELECT coalesce(sum(total_rows), 0) FROM runs WHERE status = 'success'"
        return self.sql(sql, state=True)[0][0]


@pytest.fixture
def followed(tmp_path):
    return Followed(tmp_path)


@pytest.mark.parametrize("table", ["schemas", "watermarks", "publications"])
def test_a_state_that_refuses_a_step_of_the_finish_loses_nothing(rivet, followed, table):
    rivet("run", "-c", followed.config).expect(0)
    followed.add(2)
    trigger = (
        REFUSES if table != "publications" else REFUSES.replace("WHEN NEW.export_name <> ''", "")
    )
    followed.sql(trigger.format(table=table, body=BODY), state=True)
    assert rivet("run", "-c", followed.config).code != 0
    assert followed.recorded() == 3
    followed.sql("DROP TRIGGER refuse", state=True)
    followed.add(1)
    rivet("run", "-c", followed.config).expect(0)
    assert followed.ids() == list(range(1, 7))
    assert followed.recorded() == 6
    listed = rivet("files", "-c", followed.config).expect(0).stdout.split()
    assert duckdb.sql(f"SELECT id FROM read_parquet({listed})").fetchall() == [(6,)]
