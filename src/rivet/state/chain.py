"""Incremental run chain: the runs whose rows together are an export's, each after the one before.

A run says when it begins which run it goes on from. One that begins anew follows none, and the
chain of an export that takes everything each time is its newest good run alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rivet.errors import StateDamagedError
from rivet.state import files, runs, watermarks
from rivet.state.decoding import decoding, json_object, number, optional_text

if TYPE_CHECKING:
    from rivet.model.part import RecordedPart
    from rivet.model.run import RunRow
    from rivet.state.database import Statements
    from rivet.state.store import StateStore


@dataclass(frozen=True, slots=True)
class Link:
    """One run of a chain.

    Attributes:
        row: The run.
        parts: Its files, in the order of its data.
        follows: The run it goes on from; None where it began anew.
        reads_again: Rows of it were taken by the run before as well (`lookback`).
    """

    row: RunRow
    parts: tuple[RecordedPart, ...]
    follows: str | None = None
    reads_again: bool = False


def chain_of(store: StateStore, export_name: str, *, after: str | None = None) -> tuple[Link, ...]:
    """Return the runs that hold an export's rows, oldest first; none before its first good run.

    Args:
        store: Open.
        export_name: The export.
        after: Only those that come after this run, where it is one of them.

    Raises:
        StateDamagedError: A run that others go on from, or files of one, are not on record.
    """
    with store.database.read() as db:
        newest = runs.current(db, export_name)
        links: list[Link] = []
        while newest is not None and newest.run_id != after:
            links.append(_link(db, newest))
            newest = _before(db, links)
    return tuple(reversed(links))


def link_of(store: StateStore, row: RunRow) -> Link:
    """Return one run alone, with its files.

    Raises:
        StateDamagedError: Not all files that it recorded are on record.
    """
    with store.database.read() as db:
        return _link(db, row)


def follows_of(store: StateStore, row: RunRow) -> str | None:
    """Return the run that a run goes on from, however it ended; None where it begins anew."""
    with store.database.read() as db:
        return _follows(db, row)


def _link(db: Statements, row: RunRow) -> Link:
    if _is_pruned(db, row.run_id):
        what = f"the files of run {row.run_id} are not on record any more (pruned, or lost)"
        raise _torn(row.export_name, what)
    told = json_object(row.record.plan_json)
    again = bool(told.get("reads_again"))
    return Link(row, files.whole_of_run(db, row.run_id), _follows(db, row), again)


def _before(db: Statements, links: list[Link]) -> RunRow | None:
    link = links[-1]
    if link.follows is None:
        return None
    row = runs.find(db, link.follows)
    if row is None or row.sequence >= link.row.sequence or row.export_name != link.row.export_name:
        what = f"run {link.row.run_id} goes on from a run that is not on record: {link.follows}"
        raise _torn(link.row.export_name, what)
    return row


def _follows(db: Statements, row: RunRow) -> str | None:
    told = json_object(row.record.plan_json)
    if "follows" not in told:
        return _follows_older(db, row) if told.get("moves_on") else None
    with decoding("runs"):
        return optional_text(told, "follows")


def _follows_older(db: Statements, row: RunRow) -> str | None:
    """Return the same for a run of an earlier version, by order: the last one that moved on.

    Unless its export was told to begin anew between the two.
    """
    earlier = db.many(
        "SELECT run_id, plan_json, started_at FROM pyrivet.runs WHERE export_name = :name"
        " AND status = 'success' AND total_files > 0 AND sequence < :sequence"
        " ORDER BY sequence DESC",
        name=row.export_name,
        sequence=row.sequence,
    )
    with decoding("runs"):
        moved = (one for one in earlier if json_object(str(one["plan_json"])).get("moves_on"))
        before = next(moved, None)
    if before is None:
        return None
    reset = db.one(
        "SELECT 1 AS found FROM pyrivet.audits WHERE export_name = :name"
        " AND action IN (:reset, :used) AND recorded_at BETWEEN :since AND :until",
        name=row.export_name,
        reset=watermarks.RESET,
        used=f"{watermarks.RESET}, done",
        since=before["started_at"],
        until=row.record.started_at,
    )
    return None if reset is not None else str(before["run_id"])


def _is_pruned(db: Statements, run_id: str) -> bool:
    row = db.one(
        "SELECT recorded_parts, (SELECT count(*) FROM pyrivet.parts AS p"
        " WHERE p.run_id = r.run_id) AS kept FROM pyrivet.runs AS r WHERE run_id = :run_id",
        run_id=run_id,
    )
    with decoding("runs"):
        return row is not None and number(row, "recorded_parts") > 0 == number(row, "kept")


def _torn(export_name: str, what: str) -> StateDamagedError:
    msg = f"export '{export_name}': {what}; a list without them would lack rows"
    hint = (
        f"`rivet state reset -e {export_name}` and a run take everything anew; "
        "`--last-run` and `--since RUN` list what came later"
    )
    return StateDamagedError(msg, hint=hint, export=export_name)
