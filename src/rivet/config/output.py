"""An export's keys about types and files as the records other layers take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.model.columns import ColumnRules
from rivet.model.output import (
    Compression,
    OutputPlan,
    RowGroups,
    RowGroupStrategy,
    WriterOptions,
)
from rivet.model.types import JsonPolicy, Kind, parse_override

if TYPE_CHECKING:
    from rivet.config.export import ExportConfig, ParquetConfig

_MEGABYTE: Final = 1024 * 1024
_MOST_ROWS: Final = 10_000_000
_UNBOUNDED: Final = 2**62
_PROFILES: Final = {
    "none": (Compression.NONE, None),
    "fast": (Compression.SNAPPY, None),
    "balanced": (Compression.ZSTD, 3),
    "compact": (Compression.ZSTD, 9),
}


def column_rules(export: ExportConfig, *, is_file: bool = True) -> ColumnRules:
    """Return what the export says about columns.

    Args:
        export: The export.
        is_file: Rows go to a file, of which a CSV has no labels; not to the caller as batches.

    Raises:
        UnsafeTypeError: A type no override can name; a loaded configuration has none.
    """
    types = export.types
    numeric = parse_override(types.unbounded_numeric, column="numeric")
    is_labelled = not is_file or export.format != "csv"
    is_asked = is_labelled or types.json_label is not JsonPolicy.CHECK
    return ColumnRules(
        include=export.include,
        exclude=export.exclude or (),
        renames=dict(export.rename),
        masks=dict(export.mask),
        overrides={
            column: parse_override(rule.type, column=column)
            for column, rule in export.columns.items()
        },
        invalid_overrides={
            column: rule.invalid
            for column, rule in export.columns.items()
            if rule.invalid is not None
        },
        unbounded_numeric=numeric if numeric.kind is Kind.DECIMAL else None,
        non_finite=types.non_finite,
        out_of_range=types.out_of_range,
        tinyint1_is_bool=types.tinyint1 == "bool",
        json=types.json_label if is_asked else JsonPolicy.JSON,
        is_json_labelled=is_labelled,
        is_strict=export.strict_types,
        is_lenient=is_file,  # a library call has nobody to tell
    )


def output_plan(export: ExportConfig) -> OutputPlan:
    """Return how the export's files are written."""
    return OutputPlan(
        format=export.format,
        writer=writer_options(export),
        max_file_bytes=export.max_file_size,
        skip_empty=export.skip_empty,
        add_exported_at=export.meta_columns.exported_at,
        row_hash=export.meta_columns.row_hash,
    )


def writer_options(export: ExportConfig) -> WriterOptions:
    """Return codec, level and row groups; `compression_profile` wins over the other two keys."""
    if export.format == "csv":
        return WriterOptions(compression=Compression.NONE)
    if export.compression_profile is not None:
        codec, level = _PROFILES[export.compression_profile]
    else:
        codec = export.compression or Compression.ZSTD
        level = export.compression_level  # None is the format's own default
    return WriterOptions(
        compression=codec, level=level, row_groups=_row_groups(export.parquet, export.max_file_size)
    )


def _row_groups(parquet: ParquetConfig | None, max_file_bytes: int | None) -> RowGroups:
    # A file can only end between row groups, so a group is never to be larger than a file.
    bounds = RowGroups(max_bytes=min(RowGroups().max_bytes, max_file_bytes or _UNBOUNDED))
    if parquet is None:
        return bounds
    rows, size = bounds.max_rows, bounds.max_bytes
    if parquet.row_group_strategy is RowGroupStrategy.FIXED_ROWS:
        rows = min(max(parquet.row_group_rows or rows, 1), _MOST_ROWS)
        size = _UNBOUNDED
    elif parquet.target_row_group_mb is not None:
        rows, size = _MOST_ROWS, parquet.target_row_group_mb * _MEGABYTE
    if parquet.max_row_group_mb is not None:
        size = min(size, parquet.max_row_group_mb * _MEGABYTE)
    return RowGroups(max_rows=rows, max_bytes=size)
