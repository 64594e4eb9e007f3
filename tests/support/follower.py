"""A table that grows and an export that follows it, on any engine; DuckDB reads what it wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
from ruamel.yaml import YAML

import rivet as library

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.model.report import ExportReport
    from support.engines import EngineUnderTest

STAMPS = {
    "postgresql": "timestamptz",
    "mysql": "timestamp(6) NULL",
    "sqlite": "timestamp",
    "duckdb": "timestamptz",
}


class Follower:
    """An incremental export `events` of the table `events (id, ts, name)`.

    Attributes:
        keys: What the export says besides; a value of None takes a key away.
        source: The `source:` block.
    """

    def __init__(self, engine: EngineUnderTest, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.source = dict(engine.source)
        self.keys: dict[str, Any] = {"cursor_column": "id"}
        self.create("events")

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run statements; rows of the last."""
        is_question = sql.lstrip().upper().startswith("SELECT")
        needs_rows = self.engine.name == "sqlite" and not is_question
        return self.engine.execute(f"{sql}; SELECT 1" if needs_rows else sql)

    def create(self, table: str) -> None:
        """Make a table of events."""
        kind = STAMPS[self.engine.name]
        self.execute(f"CREATE TABLE {table} (id bigint, ts {kind}, name varchar(20))")

    def add(self, *ids: int | None, table: str = "events", ts: str | None = None) -> None:
        """Insert rows."""
        stamp = "NULL" if ts is None else f"'{ts}'"
        values = ", ".join(f"({'NULL' if n is None else n}, {stamp}, 'n')" for n in ids)
        self.execute(f"INSERT INTO {table} (id, ts, name) VALUES {values}")

    @property
    def config(self) -> Path:
        """The configuration, written anew."""
        export = {
            "name": "events",
            "table": "events",
            "mode": "incremental",
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            **self.keys,
        }
        export = {key: value for key, value in export.items() if value is not None}
        path = self.folder / "rivet.yaml"
        with path.open("w") as file:
            YAML().dump({"source": self.source, "exports": [export]}, file)
        return path

    def run(self, **options: Any) -> ExportReport:
        """Run the export in this process; its report, whatever came of it."""
        (report,) = library.run(self.config, check=False, **options).exports
        return report

    def manifest(self, prefix: str = "out") -> dict[str, Any]:
        """Return the manifest of the newest good run."""
        body: dict[str, Any] = json.loads((self.folder / prefix / "manifest.json").read_text())
        return body

    def rows(self, prefix: str = "out", column: str = "id") -> list[Any]:
        """Return what the newest good run took, as DuckDB reads it."""
        folder = self.folder / prefix
        files = [str(folder / part["path"]) for part in self.manifest(prefix)["parts"]]
        if not files:
            return []
        reader = "read_csv" if files[0].endswith(".csv") else "read_parquet"
        found = duckdb.sql(f"SELECT {column} FROM {reader}({files}) ORDER BY ALL").fetchall()
        return [value for (value,) in found]
