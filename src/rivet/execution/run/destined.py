"""Destination of an export before its invocation has planned it: by its configuration alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.destinations import place_of
from rivet.errors import RivetError
from rivet.execution.run.prepare import export_sink
from rivet.redact import redact

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.config.models import ExportConfig

__all__ = ["destined_for"]


def destined_for(export: ExportConfig, base_dir: Path, *, run_id: str, day: str) -> str:
    """Return where the files of a run would go; the empty string where that is not known.

    Nothing is contacted or made. It is not known where the destination itself is what is wrong, and
    where `{run_id}` stands in a path and the export never had a run.
    """
    try:
        return redact(place_of(export_sink(export, base_dir, run_id=run_id, day=day)))
    except RivetError:
        return ""
