"""Report of recovered runs: what this invocation answers for besides its own runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.model.report import RecoveredRun

if TYPE_CHECKING:
    from collections.abc import Collection

    from rivet.state.store import StateStore


def recovered_runs(state: StateStore, own: Collection[str]) -> tuple[RecoveredRun, ...]:
    """Return the runs of others that this invocation answers for, oldest first, with their parts.

    Args:
        state: Answers for them already (`rivet.execution.run.recovery`).
        own: The runs that the report tells of anyway.

    Raises:
        StateError: They cannot be read.
    """
    found = []
    for row in state.answered():
        parts = () if row.run_id in own else state.parts(row.run_id)
        if parts:
            record, outcome = row.record, row.outcome
            found.append(
                RecoveredRun(
                    export_name=row.export_name,
                    run_id=row.run_id,
                    mode=record.mode,
                    destination_uri=record.destination_uri,
                    started_at=record.started_at,
                    finished_at=outcome.finished_at if outcome else None,
                    files=parts,
                )
            )
    return tuple(found)
