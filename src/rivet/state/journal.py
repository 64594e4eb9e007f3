"""What happened in a run: events as JSON text, in the order they were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.redact import redact_json

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.state.database import Statements


def append(db: Statements, run_id: str, export_name: str, event_json: str, now: datetime) -> None:
    """Add one event of a run; a superseded run may still tell what happened to it."""
    db.change(
        "INSERT INTO pyrivet.journal (run_id, export_name, event_json, recorded_at)"
        " VALUES (:run_id, :export_name, :event_json, :now)",
        run_id=run_id,
        export_name=export_name,
        event_json=redact_json(event_json),
        now=now,
    )


def events(db: Statements, run_id: str) -> tuple[str, ...]:
    """Return the events of a run in order."""
    rows = db.many(
        "SELECT event_json FROM pyrivet.journal WHERE run_id = :run_id ORDER BY sequence",
        run_id=run_id,
    )
    return tuple(row["event_json"] for row in rows)
