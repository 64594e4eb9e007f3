"""An incremental export of a small SQLite table, and ways in which its state may be lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from rivet.config.load import load_config
from rivet.errors import RivetError
from rivet.execution.context import RunOptions
from rivet.execution.many.invocation import run_exports

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.config.models import Config

CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: t, table: t, mode: %s, format: csv,
   destination: {type: local, path: '%s'}}
"""
MODES = {
    "incremental": "incremental, cursor_column: id",
    "keyset": "chunked, chunk_by_key: id, keyset_incremental: true",
}


class Export:
    """A table of two rows that was exported, and a third row that came later."""

    def __init__(
        self, folder: Path, mode: str = "incremental", path: str = "out", *, state_url: str = ""
    ) -> None:
        self.folder = folder
        self.env = {"RIVET_STATE_URL": state_url} if state_url else {}
        with closing(sqlite3.connect(folder / "a.db")) as connection, connection:
            connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        (folder / "rivet.yaml").write_text(CONFIG % (MODES.get(mode, mode), path))
        self.config = load_config(folder / "rivet.yaml")
        self.insert(1, 2)
        assert self.run() is None
        self.insert(3)

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / ".rivet/state.db"

    def insert(self, *ids: int) -> None:
        with closing(sqlite3.connect(self.folder / "a.db")) as connection, connection:
            connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in ids])

    def run(self, config: Config | None = None, **options: Any) -> Any:
        config = config or load_config(self.config.path)
        done = run_exports(config, options=RunOptions(**options), env=self.env)
        (self.report,) = done.report.exports
        failure = self.report.failure
        if done.telling is not None:
            done.telling.end(failure.exit_code if failure else 0)
        return failure

    def rows(self) -> list[int]:
        """Return the rows of all runs together, through their own manifests."""
        found: list[str] = []
        for path in sorted(self.folder.glob("**/manifest-*.json")):
            for part in json.loads(path.read_text())["parts"]:
                found += (path.parent / part["path"]).read_text().split()[1:]
        return sorted(map(int, found))

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.state)) as connection, connection:
            for one in statements:
                connection.execute(one)


def no_bytes(export: Export) -> None:
    export.state.write_bytes(b"")


def no_folder(export: Export) -> None:
    shutil.rmtree(export.folder / ".rivet")


def no_rows(export: Export) -> None:
    export.sql("DELETE FROM watermarks", "DELETE FROM parts", "DELETE FROM runs")


def no_watermark(export: Export) -> None:
    export.sql("DELETE FROM watermarks")


def another_name(export: Export) -> None:
    export.sql("UPDATE watermarks SET export_name = 'u' || random()")


def verdict(export: Export, config: Config | None = None) -> tuple[str, int, str | None]:
    try:
        failure = export.run(config)
    except RivetError as error:
        return error.error_code, error.exit_status, error.hint
    return (failure.code, failure.exit_code, failure.hint) if failure else ("", 0, "")
