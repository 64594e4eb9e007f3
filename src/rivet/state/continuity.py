"""What the state remembers of how far an export got, and what people decided of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rivet.state import watermarks
from rivet.state.decoding import decoding, json_object, text

if TYPE_CHECKING:
    from rivet.state.database import Statements
    from rivet.state.store import StateStore

_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Memory:
    """What the state knows.

    Attributes:
        has_progress: There is a watermark.
        is_lost: There is none, although a run that the state has on record set one.
        is_reset: There is none, and that was decided.
        knows_run: The run that was asked about is on record, or was accepted without that.
    """

    has_progress: bool
    is_lost: bool
    is_reset: bool
    knows_run: bool


def memory_of(store: StateStore, export_name: str, run_id: str | None) -> Memory:
    """Return what the state remembers of an export.

    Args:
        store: Open.
        export_name: The export.
        run_id: The run whose files are at the destination; None where there are none.

    Raises:
        StateDamagedError: What it remembers cannot be read.
    """
    with store.database.read() as db:
        has_progress = watermarks.find(db, export_name) is not None
        knows_run = run_id is None or watermarks.knows(db, export_name, run_id)
        if has_progress:
            return Memory(has_progress, is_lost=False, is_reset=False, knows_run=knows_run)
        decided = db.one(
            "SELECT action FROM pyrivet.audits WHERE export_name = :name"
            " AND action IN (:reset, :lost) ORDER BY sequence DESC LIMIT 1",
            name=export_name,
            reset=watermarks.RESET,
            lost=watermarks.LOST,
        )
        has_moved = _has_moved(db, export_name) or _has_units(db, export_name)
    is_reset = decided is not None and decided["action"] == watermarks.RESET
    is_lost = not is_reset and (decided is not None or has_moved)
    return Memory(has_progress, is_lost=is_lost, is_reset=is_reset, knows_run=knows_run)


def run_behind(store: StateStore, export_name: str) -> str | None:
    """Return the run that set the watermark of an export; None where another program did.

    Raises:
        StateDamagedError: The watermark cannot be read.
    """
    with store.database.read() as db:
        return watermarks.run_of(db, export_name)


def _has_units(db: Statements, export_name: str) -> bool:
    """Whether a stream committed a unit once: each sets the watermark."""
    row = db.one(
        "SELECT 1 AS found FROM pyrivet.commit_units WHERE export_name = :name", name=export_name
    )
    return row is not None


def _has_moved(db: Statements, export_name: str) -> bool:
    """Whether a run set a watermark once; runs of earlier versions do not tell."""
    rows = db.many(
        "SELECT plan_json FROM pyrivet.runs WHERE export_name = :name AND status = 'success'"
        " AND total_files > 0 ORDER BY sequence DESC LIMIT :last",
        name=export_name,
        last=_LOOKED_AT,
    )
    with decoding("runs"):
        return any(json_object(text(row, "plan_json")).get("moves_on") for row in rows)
