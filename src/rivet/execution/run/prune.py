"""Retention: remove the files of old runs, planned from the record of runs alone.

Never touched: the run that readers are given, a run that is running or may be resumed, and
anything the record does not name. Only exports that take everything each time have old runs; each
run of an incremental export holds rows of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rivet.errors import UnsupportedPlanError
from rivet.execution.run.prepare import day_of_run, open_export_destination
from rivet.execution.run.recorded_names import refuse_foreign_parts
from rivet.execution.selection import select_exports
from rivet.manifest import run_manifest_name
from rivet.model.run import RunStatus
from rivet.state.locks import export_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.config.models import Config, ExportConfig
    from rivet.execution.context import RunContext
    from rivet.model.part import RecordedPart
    from rivet.model.run import RunRow


@dataclass(frozen=True, slots=True)
class OldRun:
    """A run whose files can go."""

    run_id: str
    export_name: str
    parts: tuple[RecordedPart, ...]

    @property
    def size_bytes(self) -> int:
        """Size of its files, as recorded."""
        return sum(part.stats.size_bytes for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `rivet prune --json`."""
        return {
            "export_name": self.export_name,
            "run_id": self.run_id,
            "files": len(self.parts),
            "bytes": self.size_bytes,
        }


def runs_to_drop(rows: Sequence[RunRow], keep: int) -> list[RunRow]:
    """Return the runs of one export whose files can go; newest first, as they are given.

    Args:
        rows: Runs of the export, newest first: the newest, those that count, those with files.
        keep: How many good runs stay; at least 1.
    """
    good = keep
    dropped = []
    for place, row in enumerate(rows):
        if row.status is RunStatus.RUNNING:
            continue
        is_good = row.status is RunStatus.SUCCESS
        may_go_on = place == 0 and not is_good
        if is_good and good > 0:
            good -= 1
            continue
        if not may_go_on:
            dropped.append(row)
    return dropped


def plan_prune(
    config: Config, names: Sequence[str] | None, context: RunContext, keep: int | None
) -> tuple[OldRun, ...]:
    """Return what would be removed, from the state alone; nothing is contacted.

    Raises:
        ConfigError: A name is not in the configuration.
        UnsupportedPlanError: A named export is incremental.
        StateDamagedError: The state names files that its runs have not written.
    """
    found: list[OldRun] = []
    for export in select_exports(config, names):
        if export.holds_rows_of_its_own:
            if names:
                msg = (
                    f"export '{export.name}': every run of an incremental export holds its own rows"
                )
                raise UnsupportedPlanError(msg, hint="prune exports that are full or chunked")
            continue
        found += _old_runs(export, context, keep or export.keep_runs or 1)
    return tuple(found)


def _old_runs(export: ExportConfig, context: RunContext, keep: int) -> list[OldRun]:
    rows = context.state.runs_with_files(export.name, good=keep)
    old = []
    for row in runs_to_drop(rows, keep):
        parts = context.state.parts(row.run_id) + context.state.void_parts(row.run_id)
        if parts:
            refuse_foreign_parts(row, parts)
            old.append(OldRun(row.run_id, export.name, parts))
    return old


def prune(config: Config, planned: Sequence[OldRun], context: RunContext) -> tuple[OldRun, ...]:
    """Remove the planned files; return the runs that were removed.

    A run whose destination is another one than the configuration has now is left alone.

    Raises:
        StateLockedError: The export is running.
        DestinationError: A file cannot be removed; what was removed before is on record.
    """
    removed = []
    for name in dict.fromkeys(one.export_name for one in planned):
        (export,) = select_exports(config, [name])
        with export_lock(context.state, name, wait=False):
            mine = [one for one in planned if one.export_name == name]
            removed += [one for one in mine if _remove(export, one, context)]
    return tuple(removed)


def prune_after_run(export: ExportConfig, context: RunContext) -> int:
    """Remove what `keep_runs` does not keep, after a good run; return how many runs."""
    if export.keep_runs is None or context.options.backfill is not None:
        return 0
    old = _old_runs(export, context, export.keep_runs)
    return sum(_remove(export, one, context) for one in old)


def _remove(export: ExportConfig, old: OldRun, context: RunContext) -> bool:
    row = context.state.run(old.run_id)
    if row is None:
        return False
    destination = open_export_destination(export, context, run_id=old.run_id, day=day_of_run(row))
    try:
        if destination.uri != row.record.destination_uri:
            return False
        # The list goes before what it names: no reader of it looks for a file that is gone.
        destination.remove(run_manifest_name(old.run_id))
        for part in old.parts:
            destination.remove(part.name)
    finally:
        destination.close()
    context.state.forget_parts(old.run_id)
    return True
