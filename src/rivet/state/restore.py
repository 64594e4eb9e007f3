"""Put runs and watermarks back that a store has lost; what it still has stays as it is."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rivet.model.owner import Owner
from rivet.model.seal import seal_of
from rivet.model.source import Position
from rivet.state import files, runs, watermarks
from rivet.state.decoding import UnreadableRowError
from rivet.state.locks import file_held
from rivet.state.pages import PAGE_BYTES
from rivet.state.store import STATE_DIR, STATE_FILE, StateStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rivet.model.part import RecordedPart
    from rivet.model.run import RunOutcome, RunRecord

__all__ = ["Kept", "RestoredRun", "clear_unreadable", "move_damaged_state", "note_lost", "restore"]


@dataclass(frozen=True, slots=True)
class RestoredRun:
    """A good run as its manifest tells of it."""

    record: RunRecord
    parts: tuple[RecordedPart, ...]
    outcome: RunOutcome


@dataclass(frozen=True, slots=True)
class Kept:
    """A watermark; whose it is may not be known, nor the run that set it, with its last part."""

    position: Position
    owner: Owner | None = None
    covered_by: tuple[str, int] | None = None


def restore(
    store: StateStore, export_name: str, found: Sequence[RestoredRun], kept: Kept | None
) -> None:
    """Add runs in their order, and set the watermark, in one transaction.

    The caller holds the export's lock.
    """
    with store.database.write() as db:
        now = store.now()
        for run in found:
            run_id = run.record.run_id
            runs.begin(db, run.record)
            runs.assert_running(db, run_id, new_parts=len(run.parts))
            for part in run.parts:
                files.insert(db, part)
            runs.mark_manifest(db, run_id, now)
            runs.finish(db, run_id, run.outcome)
        if kept is not None:
            by = kept.covered_by
            watermarks.put(db, export_name, kept.position, now, covered_by=by, owner=kept.owner)
            watermarks.settle(db, export_name)
            watermarks.audit(db, export_name, "repair", None, kept.owner, now)


def note_lost(store: StateStore, export_name: str) -> None:
    """Remember that an export had a watermark which nobody knows any more."""
    with store.database.write() as db:
        watermarks.audit(db, export_name, watermarks.LOST, None, None, store.now())


def clear_unreadable(store: StateStore, export_name: str) -> tuple[str, ...]:
    """Remove the watermark and the columns of an export where they cannot be read.

    Returns:
        The tables that a row was removed from.
    """
    cleared = []
    with store.database.write() as db:
        for table, read in (("watermarks", watermarks.owner_of), ("schemas", watermarks.schema_of)):
            try:
                read(db, export_name)
            except UnreadableRowError:
                sql = f"DELETE FROM pyrivet.{table} WHERE export_name = :name"  # noqa: S608
                db.change(sql, name=export_name)
                cleared.append(table)
    return tuple(cleared)


def move_damaged_state(
    base_dir: Path, names: Sequence[str], stamp: str
) -> tuple[Path, dict[str, Kept]]:
    """Move a damaged state file away while nobody runs an export.

    Args:
        base_dir: Folder of the configuration.
        names: All its exports.
        stamp: Makes the name a new one.

    Returns:
        The new path, and the watermarks that could still be read whole from it.

    Raises:
        RefusedError: An export is running.
        OSError: It cannot be renamed.
    """
    path = base_dir.resolve() / STATE_DIR / STATE_FILE
    target = path.with_name(f"{STATE_FILE}.damaged-{stamp}")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(file_held(base_dir, name))
        kept = _salvaged(path)
        for ending in ("", "-wal", "-shm"):
            whole = path.with_name(path.name + ending)
            if whole.exists():
                whole.rename(target.with_name(target.name + ending))
    return target, kept


def _salvaged(path: Path) -> dict[str, Kept]:
    """Return the watermarks whose seal still fits."""
    kept: dict[str, Kept] = {}
    sql = (
        "SELECT export_name, engine, kind, position_text, is_approximate, run_id, part_id,"
        " owner_json, seal FROM watermarks NOT INDEXED"
    )
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, PAGE_BYTES)
            for row in connection.execute(sql):
                _keep(row, kept)
    except sqlite3.Error:
        pass  # the rest is lost
    return kept


def _keep(row: tuple[Any, ...], kept: dict[str, Kept]) -> None:
    name, engine, kind, text, is_approximate, run, part, owner, seal = row
    try:
        if seal_of(*row[:-1]) == seal and all(isinstance(one, str) for one in row[:4]):
            position = Position(engine, kind, text, bool(is_approximate))
            by = (run, part) if isinstance(run, str) and isinstance(part, int) else None
            owned = None if owner is None else Owner.from_json(owner)
            kept[name] = Kept(position, owned, by)
    except (TypeError, ValueError):
        return
