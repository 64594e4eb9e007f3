"""Path safety of recorded names: only files of own runs, under the prefix they went to.

A state or a manifest that somebody edited could name any file. What a run writes has names of one
pattern, and nothing else is ever listed, moved or removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import StateDamagedError
from rivet.plan.naming import is_run_of, place_of_part
from rivet.redact import visible_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.model.part import RecordedPart
    from rivet.model.run import RunRow

_LONGEST = 200


def refuse_foreign_run(row: RunRow, export_name: str) -> None:
    """Refuse a run whose name no run of this export has.

    Raises:
        StateDamagedError: Its name would lead elsewhere.
    """
    if not is_run_of(row.run_id, export_name):
        raise _foreign(export_name, f"the run '{_shown(row.run_id)}', which is none of its runs")


def refuse_foreign_parts(row: RunRow, parts: Iterable[RecordedPart]) -> None:
    """Refuse parts that are not files of this run in the place it wrote to.

    Raises:
        StateDamagedError: A name is not one that the run gives, or it lies elsewhere.
    """
    refuse_foreign_run(row, row.export_name)
    prefix = row.record.destination_uri
    for part in parts:
        place = place_of_part(part.name, row.run_id)
        is_own = place == (part.chunk_index, part.claim_number, part.ordinal)
        if not is_own or part.uri != f"{prefix}/{part.name}":
            what = f"the file '{_shown(part.uri)}', which run {row.run_id} has not written"
            raise _foreign(row.export_name, what)


def _shown(text: str) -> str:
    return visible_line(text[:_LONGEST])


def _foreign(export_name: str, what: str) -> StateDamagedError:
    msg = f"export '{export_name}': the state names {what}; nothing was removed, read or written"
    hint = "restore the state from a backup, or rebuild it with `rivet repair --state`"
    return StateDamagedError(msg, hint=hint, export=export_name)
