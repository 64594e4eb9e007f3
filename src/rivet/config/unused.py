"""Keys that have no effect in an export: told as warnings, for its rows are right without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.config.destination_rules import foreign_keys
from rivet.model.plan import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.config.export import ExportConfig
    from rivet.config.models import Config

OF_MODES: Final = {
    "parallel": Mode.CHUNKED,
    "cursor_column": Mode.INCREMENTAL,
    "cursor_fallback_column": Mode.INCREMENTAL,
    "incremental_cursor_mode": Mode.INCREMENTAL,
    "time_column": Mode.TIME_WINDOW,
    "time_column_type": Mode.TIME_WINDOW,
}
"""Keys that only one mode looks at, and that say nothing about the rows of another one."""


def unused_keys(config: Config) -> Iterator[str]:
    """Yield a sentence for each key that is there and that nobody looks at."""
    for export in config.exports:
        for key, why in (*_of_modes(export), *_of_files(export), *_of_destination(export)):
            yield f"export '{export.name}': `{key}` has no effect {why}"


def _of_modes(export: ExportConfig) -> Iterator[tuple[str, str]]:
    for key, mode in OF_MODES.items():
        is_given = export.parallel > 1 if key == "parallel" else key in export.model_fields_set
        if is_given and export.mode is not mode:
            yield key, f"with `mode: {export.mode}`"


def _of_destination(export: ExportConfig) -> Iterator[tuple[str, str]]:
    for key in foreign_keys(export.destination):
        yield f"destination.{key}", f"with `type: {export.destination.type}`"


def _of_files(export: ExportConfig) -> Iterator[tuple[str, str]]:
    parquet = export.parquet
    if parquet is None:
        return
    if export.format == "csv":
        yield "parquet", "with `format: csv`"
        return
    is_fixed_rows = parquet.row_group_strategy == "fixed_rows"
    key = "target_row_group_mb" if is_fixed_rows else "row_group_rows"
    if getattr(parquet, key) is not None:
        yield f"parquet.{key}", f"with `row_group_strategy: {parquet.row_group_strategy}`"
