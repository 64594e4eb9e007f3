"""What an export remembers between runs: its watermark and its last columns."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rivet.errors import InternalError
from rivet.model.owner import Owner
from rivet.model.seal import seal_of
from rivet.model.source import Position
from rivet.model.version import __version__
from rivet.state.database import read_time
from rivet.state.decoding import (
    UnreadableRowError,
    decoding,
    json_list,
    optional_text,
    text,
    written,
)
from rivet.state.runs import assert_running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rivet.state.database import Row, Statements

RESET: Final = "reset"
"""The action of an audit row: the next run begins anew, on purpose."""

LOST: Final = "lost"
"""The action of an audit row: there was a watermark, and nobody knows it any more."""


def accepted_run(run_id: str) -> str:
    """Return the action of an audit row: a run that is not on record does not matter."""
    return f"accept run {run_id}"


def advance(
    db: Statements,
    export_name: str,
    run_id: str,
    position: Position,
    now: datetime,
    *,
    owner: Owner | None = None,
) -> None:
    """Move the watermark of an export to a position that the recorded parts of a run cover.

    Whether the position lies ahead of the last one is the engine's to say, not asked here.

    Args:
        db: A transaction that writes.
        export_name: The export.
        run_id: The run.
        position: Where its next run goes on.
        now: The time.
        owner: What the position belongs to.

    Raises:
        RefusedError: The run was superseded.
        InternalError: No part of it is recorded for this export, or it is over.
    """
    assert_running(db, run_id)
    last = db.one(
        "SELECT part_id FROM pyrivet.parts WHERE run_id = :run_id AND export_name = :export_name"
        " AND is_void = 0 ORDER BY chunk_index DESC, claim_number DESC, ordinal DESC LIMIT 1",
        run_id=run_id,
        export_name=export_name,
    )
    if last is None:
        msg = f"the watermark of '{export_name}' cannot move: no part of its run is recorded"
        raise InternalError(msg)
    put(db, export_name, position, now, covered_by=(run_id, last["part_id"]), owner=owner)
    settle(db, export_name)


def settle(db: Statements, export_name: str) -> None:
    """Use up what was decided of progress that was not there: the next loss is another one."""
    db.change(
        "UPDATE pyrivet.audits SET action = action || ', done' WHERE export_name = :export_name"
        " AND action IN (:reset, :lost)",
        export_name=export_name,
        reset=RESET,
        lost=LOST,
    )


def put(
    db: Statements,
    export_name: str,
    position: Position,
    now: datetime,
    *,
    covered_by: tuple[str, int] | None,
    owner: Owner | None = None,
) -> None:
    """Write a watermark; without run and part only where it is taken over from another program."""
    values: dict[str, str | int | None] = {
        "export_name": export_name,
        "engine": position.engine,
        "kind": position.kind,
        "position_text": position.text,
        "is_approximate": int(position.is_approximate),
        "run_id": None if covered_by is None else covered_by[0],
        "part_id": None if covered_by is None else covered_by[1],
        "owner_json": None if owner is None else owner.to_json(),
    }
    changed = db.change(
        "INSERT INTO pyrivet.watermarks (export_name, engine, kind, position_text,"
        " is_approximate, run_id, part_id, owner_json, seal, updated_at)"
        " VALUES (:export_name, :engine, :kind, :position_text, :is_approximate, :run_id,"
        " :part_id, :owner_json, :seal, :now) ON CONFLICT (export_name) DO UPDATE"
        " SET engine = excluded.engine, kind = excluded.kind,"
        " position_text = excluded.position_text,"
        " is_approximate = excluded.is_approximate, run_id = excluded.run_id,"
        " part_id = excluded.part_id, owner_json = excluded.owner_json,"
        " seal = excluded.seal, updated_at = excluded.updated_at",
        **values,
        seal=seal_of(*values.values()),
        now=now,
    )
    written(changed, "watermarks")


def _sealed(db: Statements, export_name: str) -> Row | None:
    """Return the row of an export as it was written; None where it has none.

    Raises:
        UnreadableRowError: It is not what was written.
    """
    row = db.one(
        "SELECT export_name, engine, kind, position_text, is_approximate, run_id, part_id,"
        " owner_json, seal FROM pyrivet.watermarks WHERE export_name = :export_name",
        export_name=export_name,
    )
    if row is None:
        return None
    with decoding("watermarks"):
        seal = row.pop("seal")
        if seal != seal_of(*row.values()):
            raise ValueError
        for name in ("engine", "kind", "position_text"):
            text(row, name)
    return row


def owner_of(db: Statements, export_name: str) -> Owner | None:
    """Return whose the watermark of an export is; None where it does not say, or there is none."""
    row = _sealed(db, export_name)
    if row is None or row["owner_json"] is None:
        return None
    with decoding("watermarks"):
        return Owner.from_json(row["owner_json"])


def give(db: Statements, export_name: str, owner: Owner, action: str, now: datetime) -> None:
    """Let the watermark of an export belong to somebody, whoever had it; with an audit row."""
    before = owner_of(db, export_name)
    row = _sealed(db, export_name)
    if row is not None:
        row["owner_json"] = owner.to_json()
        changed = db.change(
            "UPDATE pyrivet.watermarks SET owner_json = :owner_json, seal = :seal"
            " WHERE export_name = :export_name",
            export_name=export_name,
            owner_json=row["owner_json"],
            seal=seal_of(*row.values()),
        )
        written(changed, "watermarks")
    audit(db, export_name, action, before, owner, now)


def audit(
    db: Statements,
    export_name: str,
    action: str,
    before: Owner | None,
    after: Owner | None,
    now: datetime,
) -> None:
    """Note what was decided about the progress of an export, and how it was before."""
    inserted = db.change(
        "INSERT INTO pyrivet.audits (export_name, action, before_json, after_json, rivet_version,"
        " host, recorded_at) VALUES (:export_name, :action, :before_json, :after_json, :version,"
        " :host, :now)",
        export_name=export_name,
        action=action,
        before_json=None if before is None else before.to_json(),
        after_json=None if after is None else after.to_json(),
        version=__version__,
        host=socket.gethostname(),
        now=now,
    )
    written(inserted, "audits")


def find(db: Statements, export_name: str) -> Position | None:
    """Return the watermark of an export; None where it has none."""
    row = _sealed(db, export_name)
    if row is None:
        return None
    return Position(row["engine"], row["kind"], row["position_text"], bool(row["is_approximate"]))


def run_of(db: Statements, export_name: str) -> str | None:
    """Return the run that set the watermark of an export; None where none of its runs did."""
    row = _sealed(db, export_name)
    with decoding("watermarks"):
        return None if row is None else optional_text(row, "run_id")


def knows(db: Statements, export_name: str, run_id: str) -> bool:
    """Whether a run is on record, or was accepted without that."""
    row = db.one(
        "SELECT 1 AS found FROM pyrivet.runs WHERE run_id = :run_id AND export_name = :name"
        " UNION ALL SELECT 1 FROM pyrivet.audits WHERE export_name = :name AND action = :action",
        run_id=run_id,
        name=export_name,
        action=accepted_run(run_id),
    )
    return row is not None


def forget(db: Statements, export_name: str, now: datetime) -> bool:
    """Remove an export's watermark, readable or not, with an audit row; False where it had none.

    The row is written in either case: that an export begins anew is on purpose from then on.
    """
    before = None
    with suppress(UnreadableRowError):
        before = owner_of(db, export_name)
    is_gone = bool(
        db.change("DELETE FROM pyrivet.watermarks WHERE export_name = :name", name=export_name)
    )
    audit(db, export_name, RESET, before, None, now)
    return is_gone


def resets_of(db: Statements, export_name: str) -> list[datetime]:
    """Return when an export was told to begin anew, in order, used up or not."""
    rows = db.many(
        "SELECT recorded_at FROM pyrivet.audits WHERE export_name = :name"
        " AND action IN (:reset, :used) ORDER BY recorded_at",
        name=export_name,
        reset=RESET,
        used=f"{RESET}, done",
    )
    with decoding("audits"):
        return [read_time(row["recorded_at"]) for row in rows]


def save_schema(
    db: Statements, export_name: str, columns: Sequence[tuple[str, str]], now: datetime
) -> None:
    """Remember the columns of an export, as name and Arrow type, in file order."""
    changed = db.change(
        "INSERT INTO pyrivet.schemas (export_name, columns_json, updated_at)"
        " VALUES (:export_name, :columns_json, :now) ON CONFLICT (export_name) DO UPDATE"
        " SET columns_json = excluded.columns_json, updated_at = excluded.updated_at",
        export_name=export_name,
        columns_json=json.dumps([list(column) for column in columns], separators=(",", ":")),
        now=now,
    )
    written(changed, "schemas")


def schema_of(db: Statements, export_name: str) -> tuple[tuple[str, str], ...] | None:
    """Return the remembered columns of an export; None where it has none."""
    row = db.one(
        "SELECT columns_json FROM pyrivet.schemas WHERE export_name = :export_name",
        export_name=export_name,
    )
    if row is None:
        return None
    with decoding("schemas"):
        pairs = [(name, kind) for name, kind in json_list(text(row, "columns_json"))]
        if not all(isinstance(one, str) for pair in pairs for one in pair):
            raise TypeError
    return tuple(pairs)
