"""A table that others write to, and an incremental export that follows it."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import duckdb

import rivet as library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STAMP = {"postgresql": "timestamptz", "mysql": "timestamp(6)"}
NOW = {"postgresql": "now()", "mysql": "now(6)"}


class Followed:
    """A table that an incremental export follows."""

    def __init__(
        self, engine: str, database: Any, folder: Path, kind: str = "", now: str | None = None
    ) -> None:
        now = NOW[engine] if now is None else now
        self.engine, self.database, self.folder = engine, database, folder
        self.keys: dict[str, Any] = {}
        self.url = database.url
        stamp = kind or STAMP[engine]
        default = f"DEFAULT {now}" if now else ""
        database.execute(f"CREATE TABLE t (id int PRIMARY KEY, ts {stamp} NULL {default})")

    def config(self) -> Path:
        source = {"type": self.engine, "url": self.url, "tls": {"mode": "disable"}}
        export = {
            "name": "t",
            "table": "t",
            "mode": "incremental",
            "cursor_column": "ts",
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            **self.keys,
        }
        path = self.folder / "rivet.yaml"
        path.write_text(json.dumps({"source": source, "exports": [export]}))
        return path

    def run(self, *, fresh: bool = False, **options: Any) -> Any:
        """Run the export; `fresh` forgets all runs and their files first."""
        if fresh:
            for name in ("out", ".rivet"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        return library.run(self.config(), **options).exports[0]

    def refused(self) -> str:
        """Run the export, which must fail before it writes anything, and return why."""
        report = library.run(self.config(), check=False).exports[0]
        assert report.failure is not None
        return str(report.failure.message)

    def run_until(self, is_done: Callable[[], bool], **options: Any) -> None:
        """Run again until it is: MySQL tells of transactions of the whole server, others' too."""
        for _ in range(40):
            settle()
            self.run(**options)
            if is_done():
                return

    def taken(self) -> list[int]:
        """Return the ids of all runs together, through their own manifests."""
        found: list[int] = []
        for path in (self.folder / "out").glob("manifest-*.json"):
            files = [
                str(self.folder / "out" / part["path"])
                for part in json.loads(path.read_text())["parts"]
            ]
            if files:
                rows = duckdb.sql(f"SELECT id FROM read_parquet({files})").fetchall()
                found += [n for (n,) in rows]
        return sorted(found)


def settle(seconds: float = 2.1) -> None:
    """Wait until what was written lies behind the margin of the server's clock."""
    time.sleep(seconds)
