"""Change what a state file holds of a watermark, as an earlier version would have left it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from rivet.model.seal import seal_of

if TYPE_CHECKING:
    from pathlib import Path


def change_owner(folder: Path, owner_json: str | None) -> None:
    """Give every watermark another owner, and the seal that goes with it."""
    with closing(sqlite3.connect(folder / ".rivet" / "state.db")) as state, state:
        state.execute("UPDATE watermarks SET owner_json = ?", [owner_json])
        rows = state.execute(
            "SELECT export_name, engine, kind, position_text, is_approximate, run_id, part_id,"
            " owner_json FROM watermarks"
        ).fetchall()
        for row in rows:
            sql = "UPDATE watermarks SET seal = ? WHERE export_name = ?"
            state.execute(sql, [seal_of(*row), row[0]])
