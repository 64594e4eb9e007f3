"""State commands: the files of earlier runs, and the import of another program's state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rivet.execution.run.recorded_names import refuse_foreign_parts
from rivet.execution.selection import select_exports
from rivet.sources import canonical_engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.config.models import Config
    from rivet.model.part import RecordedPart


@dataclass(frozen=True, slots=True)
class CurrentFiles:
    """The parts of one export's newest successful run; `run_id` is None before the first."""

    export_name: str
    run_id: str | None
    parts: tuple[RecordedPart, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `rivet files --json`."""
        return {
            "export_name": self.export_name,
            "run_id": self.run_id,
            "rows": sum(part.stats.rows for part in self.parts),
            "files": [
                {
                    "uri": part.uri,
                    "path": part.location,
                    "rows": part.stats.rows,
                    "bytes": part.stats.size_bytes,
                    "content_hash": part.stats.content_hash,
                }
                for part in self.parts
            ],
        }


def current_files(
    config: Config, names: Sequence[str] | None = None, env: Mapping[str, str] | None = None
) -> tuple[CurrentFiles, ...]:
    """Return the current parts of the configuration's exports, from the state alone.

    Raises:
        ConfigError: A name is not in the configuration.
        StateError: The state store cannot be read.
        StateDamagedError: It names files that its runs have not written.
    """
    from rivet.state.store import open_store

    environment = os.environ if env is None else env
    listed = []
    with open_store(config.base_dir, url=environment.get("RIVET_STATE_URL")) as state:
        for export in select_exports(config, names):
            run = state.current_run(export.name)
            parts = state.whole_parts(run.run_id) if run else ()
            if run:
                refuse_foreign_parts(run, parts)
            listed.append(CurrentFiles(export.name, run.run_id if run else None, parts))
    return tuple(listed)


def forget_progress(config: Config, name: str, env: Mapping[str, str]) -> str:
    """Remove the watermark of an export and say what was done.

    Raises:
        ConfigError: The name is not in the configuration.
        StateError: The state store cannot be written.
        StateLockedError: The export is running.
    """
    from rivet.state.locks import export_lock
    from rivet.state.store import open_store

    (export,) = select_exports(config, [name])
    with (
        open_store(config.base_dir, url=env.get("RIVET_STATE_URL")) as state,
        export_lock(state, export.name, wait=False),
    ):
        is_gone = state.forget_watermark(export.name)
    if not is_gone:
        return f"{export.name}: there was no progress to forget; the next run takes everything"
    return f"{export.name}: its progress is forgotten; the next run takes everything"


def import_reference_state(config: Config, env: Mapping[str, str]) -> tuple[str, ...]:
    """Take over what the reference program's state knows of this configuration's exports.

    Returns:
        Sentences on what was taken.

    Raises:
        StateError: Either state cannot be read.
    """
    from rivet.state.reference import find_reference_state, import_reference
    from rivet.state.store import open_store

    with open_store(config.base_dir, url=env.get("RIVET_STATE_URL")) as state:
        found = find_reference_state(config.base_dir, store=state)
        if found is None:
            return (f"no state of the reference program beside {config.path.name}",)
        report = import_reference(state, found, engine_name=canonical_engine)
    return tuple(report.lines())
