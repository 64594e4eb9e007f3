"""Backfill: a range of an export's cursor once more, beside the export itself.

It has a name, a lock, a state and a prefix of its own, so that neither the live export's watermark
nor its manifest is touched, and both may run at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.execution.selection import select_exports

if TYPE_CHECKING:
    from rivet.config.models import Config

FOLDER = "backfill"


def backfill_config(config: Config, name: str) -> Config:
    """Return a configuration with one export: the backfill of the one named.

    Raises:
        ConfigError: There is no export of that name.
    """
    (export,) = select_exports(config, [name])
    destination = export.destination
    if destination.path is not None:
        path = f"{destination.path.rstrip('/')}/{FOLDER}"
        destination = destination.model_copy(update={"path": path})
    other = export.model_copy(update={"name": f"{name}.{FOLDER}", "destination": destination})
    return config.model_copy(update={"exports": (other,)})
