"""A table in SQLite that grows, an export of it, and what all its published runs took together."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path


class Growing:
    """A table that grows, and an export of it that goes on from its last run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = 0
        self.names: tuple[str, ...] = ("events",)
        self.path: str | None = None
        self.table = "events"
        self.source: dict[str, Any] = {"type": "sqlite", "path": "events.db"}
        self.keys: dict[str, Any] = {"mode": "incremental", "cursor_column": "id"}
        self.add(3)

    def sql(self, text: str, *, state: bool = False) -> list[tuple[Any, ...]]:
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
        exports = [
            {
                "name": name,
                "table": self.table,
                "format": "parquet",
                "destination": {"type": "local", "path": self.path or f"out/{name}"},
                **self.keys,
            }
            for name in self.names
        ]
        path = self.folder / "rivet.yaml"
        path.write_text(json.dumps({"source": self.source, "exports": exports}))
        return path

    def ids(self) -> list[int]:
        """Return what all published runs took together, as a reader of each manifest has it."""
        found: list[int] = []
        for manifest in self.folder.glob("out*/**/manifest-*.json"):
            if "_quarantine" in manifest.parts:
                continue
            parts = json.loads(manifest.read_text())["parts"]
            files = [str(manifest.parent / part["path"]) for part in parts]
            found += [n for (n,) in duckdb.sql(f"SELECT id FROM read_parquet({files})").fetchall()]
        return sorted(found)

    def recorded(self) -> int:
        """Return the rows of all runs that are on record as good."""
        sql = "SELECT coalesce(sum(total_rows), 0) FROM runs WHERE status = 'success'"
        return self.sql(sql, state=True)[0][0]
