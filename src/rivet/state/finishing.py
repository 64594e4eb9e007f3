"""The finish of a run in one transaction: what it is about to do, and all that it changes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rivet.errors import InternalError
from rivet.model.finish import Finish
from rivet.model.run import RunStatus
from rivet.state import commit_units, runs, watermarks
from rivet.state.decoding import UnreadableRowError, decoding, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rivet.model.finish import Receipt
    from rivet.model.run import RunRow
    from rivet.state.database import Statements


def intend(db: Statements, run_id: str, finish: Finish) -> None:
    """Note how a running run will finish, before anything of it is published.

    Raises:
        RefusedError: A newer run superseded it.
        InternalError: It is over, or chunks of it are not complete.
    """
    runs.assert_running(db, run_id)
    if left := runs.incomplete_chunks(db, run_id):
        msg = f"run '{run_id}' cannot be published with {left} incomplete chunks"
        raise InternalError(msg)
    db.change(
        "UPDATE pyrivet.runs SET finish_json = :told WHERE run_id = :run_id",
        run_id=run_id,
        told=finish.to_json(),
    )


def finish(
    db: Statements, run_id: str, finish: Finish, receipts: Sequence[Receipt], now: datetime
) -> None:
    """Close a running run: its verdict, its receipts and what its export remembers of it.

    Raises:
        RefusedError: A newer run superseded it.
        InternalError: It is over, or it is a success with incomplete chunks.
    """
    runs.assert_running(db, run_id)
    row = db.one("SELECT export_name FROM pyrivet.runs WHERE run_id = :run_id", run_id=run_id)
    name = row["export_name"] if row else ""
    if finish.owner is not None and finish.adopts and _is_nobodys(db, name):
        watermarks.give(db, name, finish.owner, "adopt", now)
    if finish.watermark is not None:
        watermarks.advance(db, name, run_id, finish.watermark, now, owner=finish.owner)
    if finish.columns is not None:
        watermarks.save_schema(db, name, finish.columns, now)
    for receipt in receipts:
        db.change(
            "INSERT INTO pyrivet.publications (run_id, publisher, place, digest, published_at)"
            " VALUES (:run_id, :publisher, :place, :digest, :now)",
            run_id=run_id,
            publisher=receipt.publisher,
            place=receipt.place,
            digest=receipt.digest,
            now=now,
        )
    if receipts:
        runs.mark_manifest(db, run_id, now)
    if finish.outcome.status is RunStatus.SUCCESS:
        db.change("DELETE FROM pyrivet.observations WHERE run_id = :run_id", run_id=run_id)
    runs.finish(db, run_id, finish.outcome)


def _is_nobodys(db: Statements, export_name: str) -> bool:
    is_there = watermarks.find(db, export_name) is not None
    return is_there and watermarks.owner_of(db, export_name) is None


def unfinished(db: Statements, export_name: str) -> tuple[RunRow, Finish] | None:
    """Return the newest run of an export where it was about to be published and is not finished."""
    row = db.one(
        "SELECT run_id, status, finish_json FROM pyrivet.runs WHERE export_name = :export_name"
        " ORDER BY sequence DESC LIMIT 1",
        export_name=export_name,
    )
    if row is None or row["finish_json"] is None or row["status"] not in runs.UNFINISHED:
        return None
    with decoding("runs"):
        told = Finish.from_json(text(row, "finish_json"))
    found = runs.find(db, row["run_id"])
    return None if found is None else (found, told)


def give_up_progress(db: Statements, export_name: str) -> None:
    """Leave nothing that would move a watermark later, readable or not: it is given up on purpose.

    A run that had died once it was published still becomes a good one; its files are there.
    """
    commit_units.settle_all(db, export_name)
    pending = db.all(
        "SELECT run_id, finish_json FROM pyrivet.runs WHERE export_name = :export_name"
        " AND finish_json IS NOT NULL AND status IN ('running', 'failed', 'interrupted')",
        export_name=export_name,
    )
    for row in pending:
        told = None
        with suppress(UnreadableRowError), decoding("runs"):
            finish = Finish.from_json(text(row, "finish_json"))
            told = replace(finish, watermark=None, owner=None, adopts=False).to_json()
        db.change(
            "UPDATE pyrivet.runs SET finish_json = :told WHERE run_id = :run_id",
            run_id=row["run_id"],
            told=told,
        )
