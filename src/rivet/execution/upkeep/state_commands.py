"""State commands: progress that is given up, and the import of another program's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.execution.selection import select_exports
from rivet.sources import canonical_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rivet.config.models import Config


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
