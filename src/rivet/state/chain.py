"""Incremental run chain: the runs whose rows together are an export's, each after the one before.

A run says when it begins which run it goes on from. One that begins anew follows none, and the
chain of an export that takes everything each time is its newest good run alone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rivet.errors import StateDamagedError
from rivet.state import files, runs, watermarks
from rivet.state.database import read_time
from rivet.state.decoding import decoding, json_object, optional_text, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

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
        steps = [] if newest is None else list(_Backwards(db, newest).walk(after))
        return tuple(reversed(_links(db, export_name, steps)))


def link_of(store: StateStore, row: RunRow) -> Link:
    """Return one run alone, with its files.

    Raises:
        StateDamagedError: Not all files that it recorded are on record.
    """
    with store.database.read() as db:
        (link,) = _links(db, row.export_name, [(row.run_id, _Backwards(db, row).first())])
    return link


def follows_of(store: StateStore, row: RunRow) -> str | None:
    """Return the run that a run goes on from, however it ended; None where it begins anew."""
    with store.database.read() as db:
        return _Backwards(db, row).first()


def _links(db: Statements, export_name: str, steps: Sequence[tuple[str, str | None]]) -> list[Link]:
    names = [run_id for run_id, _ in steps]
    try:
        parts = files.whole_of_runs(db, names)
    except files.PartsGoneError as gone:
        what = f"the files of run {gone.run_id} are not on record any more (pruned, or lost)"
        raise _torn(export_name, what) from gone
    rows = runs.several(db, names)
    with decoding("runs"):
        return [
            Link(
                rows[run_id],
                parts[run_id],
                follows,
                bool(json_object(rows[run_id].record.plan_json).get("reads_again")),
            )
            for run_id, follows in steps
        ]


@dataclass(frozen=True, slots=True)
class _Past:
    """What of a run tells which one it goes on from."""

    run_id: str
    started_at: datetime
    told: dict[str, Any]
    is_data: bool = True

    @property
    def follows(self) -> str | None:
        return optional_text(self.told, "follows")


class _Backwards:
    """One pass over the runs of an export, newest first: each is read once, in pages."""

    def __init__(self, db: Statements, row: RunRow) -> None:
        self._db = db
        self._name = row.export_name
        with decoding("runs"):
            told = json_object(row.record.plan_json)
        self._first = _Past(row.run_id, row.record.started_at, told)
        self._earlier = self._before(row.sequence)
        self._resets: list[datetime] | None = None

    def walk(self, after: str | None) -> Iterator[tuple[str, str | None]]:
        """Yield the runs of the chain, and which run each goes on from, up to the run `after`."""
        run: _Past | None = self._first
        while run is not None and run.run_id != after:
            before = self._gone_on_from(run)
            yield run.run_id, None if before is None else before.run_id
            run = before

    def first(self) -> str | None:
        """Return which run the first one goes on from, whether that is on record or not."""
        with decoding("runs"):
            if "follows" in self._first.told:
                return self._first.follows
        before = self._gone_on_from(self._first)
        return None if before is None else before.run_id

    def _before(self, sequence: int) -> Iterator[_Past]:
        for row in runs.earlier(self._db, self._name, sequence):
            with decoding("runs"):
                past = _Past(
                    text(row, "run_id"),
                    read_time(row["started_at"]),
                    json_object(text(row, "plan_json")),
                    is_data=row["status"] == "success" and bool(row["total_files"]),
                )
            yield past

    def _gone_on_from(self, run: _Past) -> _Past | None:
        if "follows" not in run.told:
            return self._by_order(run) if run.told.get("moves_on") else None
        with decoding("runs"):
            follows = run.follows
        if follows is None:
            return None
        found = next((past for past in self._earlier if past.run_id == follows), None)
        if found is None:
            what = f"run {run.run_id} goes on from a run that is not on record: {follows}"
            raise _torn(self._name, what)
        return found

    def _by_order(self, run: _Past) -> _Past | None:
        """Return the same for a run of an earlier version: the last one that moved on.

        Unless its export was told to begin anew between the two.
        """
        moved = (past for past in self._earlier if past.is_data and past.told.get("moves_on"))
        before = next(moved, None)
        if before is None:
            return None
        if self._resets is None:
            self._resets = watermarks.resets_of(self._db, self._name)
        between = bisect_right(self._resets, run.started_at)
        return before if bisect_left(self._resets, before.started_at) >= between else None


def _torn(export_name: str, what: str) -> StateDamagedError:
    msg = f"export '{export_name}': {what}; a list without them would lack rows"
    hint = (
        f"`rivet state reset -e {export_name}` and a run take everything anew; "
        "`--last-run` and `--since RUN` list what came later"
    )
    return StateDamagedError(msg, hint=hint, export=export_name)
