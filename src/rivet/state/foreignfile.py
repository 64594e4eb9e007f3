"""A SQLite file that another program left: read from a copy, within limits of bytes, rows and time.

Opening the file itself, even read-only, may leave a log beside it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.openfile import FileTooLargeError, open_regular

if TYPE_CHECKING:
    from collections.abc import Collection

    from rivet.state.database import Row

__all__ = ["tables_of"]

_MOST_BYTES: Final = 512 * 1024 * 1024
_MOST_ROWS: Final = 100_000
_LONGEST_VALUE: Final = 1_000_000
_MOST_TEXT: Final = 16 * 1024 * 1024
_LONGEST_S: Final = 10.0
_STEPS: Final = 100_000
_PIECE: Final = 1024 * 1024


def tables_of(
    path: Path, names: Collection[str], latest: Collection[str] = ()
) -> dict[str, list[Row]]:
    """Return the rows of those tables that are there.

    Args:
        path: The file.
        names: Of tables.
        latest: Tables of which only the last row of each `export_name` is wanted, by `id`.

    Raises:
        sqlite3.Error: It is no database, it is damaged, or it holds more than the limits allow.
        OSError: It cannot be read, or is larger than 512 MB.
        KeyError: A table of `latest` has no such columns.
        TypeError: They are not comparable.
    """
    with tempfile.TemporaryDirectory(prefix="rivet-reference-") as folder:
        copy = Path(folder) / "state.db"
        _copy(path, copy)
        log = path.with_name(f"{path.name}-wal")
        if os.path.lexists(log):
            _copy(log, copy.with_name("state.db-wal"))
        with closing(sqlite3.connect(copy)) as connection:
            connection.row_factory = sqlite3.Row
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            connection.execute("PRAGMA trusted_schema = OFF")
            end = time.monotonic() + _LONGEST_S
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            listed = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            present = {row["name"] for row in listed}
            return {
                name: _rows(connection, name, is_latest=name in latest)
                for name in names
                if name in present
            }


def _copy(path: Path, copy: Path) -> None:
    with os.fdopen(open_regular(path), "rb") as source, copy.open("wb") as target:
        told = os.fstat(source.fileno()).st_size
        left = _MOST_BYTES if told <= _MOST_BYTES else 0
        while data := source.read(_PIECE):
            left -= len(data)
            if left < 0:
                raise FileTooLargeError(0, "it is larger than 512 MB", str(path))
            target.write(data)


def _rows(connection: sqlite3.Connection, table: str, *, is_latest: bool) -> list[Row]:
    found: dict[object, Row] = {}
    held = 0
    rows = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - a name of ours
    for number, raw in enumerate(rows):
        row = dict(raw)
        key = row["export_name"] if is_latest else number
        known = found.get(key)
        if known is not None and (row["id"] < known["id"] or not row.get("key_descriptor_json")):
            continue
        found[key] = row
        held += sum(len(value) for value in row.values() if isinstance(value, str | bytes))
        if len(found) > _MOST_ROWS or held > _MOST_TEXT:
            msg = f"its table {table} holds too much"
            raise sqlite3.DataError(msg)
    return list(found.values())
