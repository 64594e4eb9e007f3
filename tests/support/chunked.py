"""A table with every kind of key on any engine, and how a reader of its manifest sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from pathlib import Path

    from support.engines import EngineUnderTest

ROWS = 500
_NUMBERS = {
    "postgresql": "SELECT g AS n FROM generate_series(0::bigint, {last}) g",
    "mysql": "SELECT CAST(seq AS SIGNED) AS n FROM seq_0_to_{last}",
    "duckdb": "SELECT range AS n FROM range({count})",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {last}) "
    "SELECT n FROM s",
}
_TABLE = """
    CREATE TABLE items (id bigint NOT NULL PRIMARY KEY, code varchar(40) NOT NULL UNIQUE,
                        grp integer, day date, price decimal(10,2));
"""
_HASHES = {"sqlite": "printf('%08x', (n * 2654435761) % 4294967296)", "postgresql": "md5(n::text)"}


def fill(engine: EngineUnderTest, first: int = 0, count: int = ROWS) -> None:
    """Insert rows `first` on: negative and sparse ids, NULL groups and days, fractional prices."""
    numbers = _NUMBERS[engine.name].format(last=count - 1, count=count)
    code = _HASHES.get(engine.name, "md5(CAST(n AS CHAR(20)))")
    if engine.name == "duckdb":
        code = "md5(CAST(n AS VARCHAR))"
    day = {
        "postgresql": "date '2024-01-30' + CAST(n % 40 AS int)",
        "mysql": "date '2024-01-30' + INTERVAL (n % 40) DAY",
        "duckdb": "date '2024-01-30' + CAST(n % 40 AS int)",
        "sqlite": "date('2024-01-30', '+' || (n % 40) || ' days')",
    }[engine.name]
    engine.execute(
        f"INSERT INTO items SELECT n * 7 - 1000, {code}, CASE WHEN n % 10 < 3 THEN NULL ELSE"
        f" n % 17 END, CASE WHEN n % 11 = 0 THEN NULL ELSE {day} END, (n % 400) / 4.0"
        f" FROM (SELECT n + {first} AS n FROM ({numbers}) s) t"
        + ("; SELECT 1" if engine.name == "sqlite" else "")
    )


@dataclass
class Chunked:
    """An export of `items`, cut in some way.

    Attributes:
        keys: Keys of the export beside name, table, format and destination.
    """

    engine: EngineUnderTest
    folder: Path
    keys: dict[str, Any] = field(default_factory=dict)

    def create(self, count: int = ROWS) -> None:
        """Make the table and fill it."""
        primary = "integer" if self.engine.name == "sqlite" else "bigint"
        table = _TABLE.replace("bigint", primary)
        self.engine.execute(table + ("SELECT 1" if self.engine.name == "sqlite" else ""))
        fill(self.engine, 0, count)
        if self.engine.name == "postgresql":
            self.engine.execute("ANALYZE items")

    @property
    def config(self) -> Path:
        """The configuration, written anew."""
        export = {
            "name": "items",
            "table": "items",
            "mode": "chunked",
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            "tuning": {"retry_backoff_ms": 1},
            **self.keys,
        }
        if "query" in self.keys:
            del export["table"]
        path = self.folder / "rivet.yaml"
        with path.open("w") as file:
            YAML().dump({"source": self.engine.source, "exports": [export]}, file)
        return path

    @property
    def out(self) -> Path:
        """Where the files go."""
        return self.folder / "out"

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest at the destination."""
        return json.loads((self.out / "manifest.json").read_text())

    def read(self) -> list[tuple[Any, ...]]:
        """Rows as a reader of the manifest has them, in order of their ids."""
        manifest = self.manifest
        paths = [str(self.out / part["path"]) for part in manifest["parts"]]
        for part, path in zip(manifest["parts"], paths, strict=True):
            assert pq.read_metadata(path).num_rows == part["rows"]
        sql = f"SELECT id, code, grp, CAST(day AS VARCHAR), price FROM read_parquet({paths})"
        return duckdb.sql(sql + " ORDER BY id, code").fetchall()

    def source(self) -> list[tuple[Any, ...]]:
        """Rows as the database has them, in the same form."""
        rows = self.engine.execute("SELECT id, code, grp, day, price FROM items ORDER BY id, code")
        if self.engine.name == "mysql":  # as its client prints them
            rows = [tuple(None if value == "NULL" else value for value in row) for row in rows]
            rows = [(int(a), b, c and int(c), d, e) for a, b, c, d, e in rows]
        return [
            (a, b, c, None if d is None else str(d), None if e is None else _money(e))
            for a, b, c, d, e in rows
        ]


def _money(value: Any) -> Any:
    from decimal import Decimal

    return Decimal(str(value)).quantize(Decimal("0.01"))
