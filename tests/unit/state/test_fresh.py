"""A fresh state file is what the migrations make; running this file renews its tables."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from rivet.state import fresh, schema, sqlite
from rivet.state.sqlite import SqliteDatabase

HEADER = '''"""The tables of a new state file, as the migrations make them; it needs no toolkit.

Generated from the migrations by `tests/unit/state/test_fresh.py`; never edit by hand.
"""

# ruff: noqa: E501

from __future__ import annotations

from typing import Final

'''


class Unprepared(SqliteDatabase):
    """A file whose tables come from the migrations alone."""

    def create(self) -> None:
        pass


def migrated(folder: Path) -> tuple[str, tuple[str, ...]]:
    database = Unprepared(folder / ".rivet" / "state.db")
    schema.ensure_current(database)
    revision = database.revision()
    database.close()
    assert revision is not None
    return revision, tables(folder)


def tables(folder: Path) -> tuple[str, ...]:
    connection = sqlite3.connect(folder / ".rivet" / "state.db")
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    connection.close()
    return tuple(" ".join(text.split()) for (text,) in rows)


def test_fresh_tables_are_those_of_the_migrations(tmp_path: Path) -> None:
    assert migrated(tmp_path) == (fresh.REVISION, fresh.TABLES)


def test_fresh_file_has_the_fresh_tables(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / ".rivet" / "state.db")
    assert schema.ensure_current(database)
    assert not schema.ensure_current(database)
    database.close()
    assert tables(tmp_path) == fresh.TABLES


def test_known_revisions_are_the_migration_files() -> None:
    scripts = schema._scripts()
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == schema.REVISIONS
    assert scripts.get_current_head() == fresh.REVISION


if __name__ == "__main__":
    sqlite.TABLES = ()  # type: ignore[misc]  # they are about to be others
    with tempfile.TemporaryDirectory() as folder:
        revision, statements = migrated(Path(folder))
    lines = "".join(f"    {statement!r},\n" for statement in statements)
    Path(fresh.__file__).write_text(
        f"{HEADER}REVISION: Final = {revision!r}\n\nTABLES: Final = (\n{lines})\n", encoding="utf-8"
    )
