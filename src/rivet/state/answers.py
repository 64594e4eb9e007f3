"""What the state store keeps of reports: which invocation answers for which run.

The column `runs.told_by` names it from the run's first record on. Whether that invocation has told
its report is another question (`rivet.state.tellings`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rivet.state import runs
from rivet.state.decoding import UnreadableRowError, text
from rivet.state.streams import StreamRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.model.run import RunRow
    from rivet.state.database import Row, Statements

_NAME: Final = re.compile(r"\w[\w.]*(\|\d+)?")
_COMMITTED: Final = "status = 'success' AND recorded_parts > 0"


class AnswerRecord(StreamRecord):
    """The part of a state store that knows who tells of a run; each method is one transaction.

    Attributes:
        answers_as: The invocation that answers for the runs begun from now on; None for nobody.
    """

    answers_as: str | None = None

    def untold(self, export_name: str) -> tuple[tuple[RunRow, str], ...]:
        """Return the committed runs of an export that others answer for, oldest first."""
        with self.database.read() as db:
            return tuple(
                (found, _invocation(row))
                for row in db.all(
                    "SELECT run_id, told_by FROM pyrivet.runs WHERE told_by IS NOT NULL"  # noqa: S608
                    " AND told_by <> :own AND export_name = :export_name"
                    f" AND {_COMMITTED} ORDER BY sequence",
                    own=self.answers_as or "",
                    export_name=export_name,
                )
                if (found := runs.find(db, row["run_id"])) is not None
            )

    def answered(self) -> tuple[RunRow, ...]:
        """Return the committed runs that this invocation answers for, oldest first."""
        with self.database.read() as db:
            rows = db.all(
                "SELECT run_id FROM pyrivet.runs WHERE told_by = :own"  # noqa: S608 - a constant
                f" AND {_COMMITTED} ORDER BY sequence",
                own=self.answers_as or "",
            )
            found = (runs.find(db, row["run_id"]) for row in rows)
            return tuple(row for row in found if row is not None)

    def answer(self, run_ids: Iterable[str]) -> None:
        """Answer for runs of others from now on."""
        self._give(run_ids, self.answers_as)

    def settle(self, run_ids: Iterable[str]) -> None:
        """Take runs for told: nobody answers for them any more."""
        self._give(run_ids, None)

    def _give(self, run_ids: Iterable[str], told_by: str | None) -> None:
        given = tuple(run_ids)
        if not given:
            return
        with self.database.write() as db:
            for run_id in given:
                give(db, run_id, told_by)

    def tellers(self) -> frozenset[str]:
        """Return every invocation that answers for a run."""
        with self.database.read() as db:
            rows = db.all("SELECT DISTINCT told_by FROM pyrivet.runs WHERE told_by IS NOT NULL")
        return frozenset(str(row["told_by"]) for row in rows)


def _invocation(row: Row) -> str:
    told_by = text(row, "told_by")
    if not _NAME.fullmatch(told_by):  # a file has this name
        table = "runs"
        raise UnreadableRowError(table, "names no invocation")
    return told_by


def give(db: Statements, run_id: str, told_by: str | None) -> None:
    """Let an invocation answer for a run."""
    db.change(
        "UPDATE pyrivet.runs SET told_by = :told_by WHERE run_id = :run_id",
        told_by=told_by,
        run_id=run_id,
    )
