"""How files are written: format, compression, row groups, splitting, added columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Compression(StrEnum):
    """Codecs of Parquet files."""

    ZSTD = "zstd"
    SNAPPY = "snappy"
    GZIP = "gzip"
    LZ4 = "lz4"
    NONE = "none"


class RowGroupStrategy(StrEnum):
    """How the size of a Parquet row group is chosen."""

    AUTO = "auto"
    FIXED_ROWS = "fixed_rows"
    FIXED_MEMORY = "fixed_memory"


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Row-group bounds: a group closes at whichever of the two comes first."""

    max_rows: int = 1_048_576
    max_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """What a format's writer is told.

    Attributes:
        compression: Codec; formats without one take only `none`.
        level: Codec level; None is the codec's default.
        row_groups: Parquet only.
    """

    compression: Compression = Compression.ZSTD
    level: int | None = None
    row_groups: RowGroups = RowGroups()


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Everything about the files of one export.

    Attributes:
        format: Registry name, such as `parquet`.
        writer: Options for its writer.
        max_file_bytes: A file is closed and another begun once it reaches this; None never.
        skip_empty: An export without rows is `skipped` and leaves everything as it was.
        add_exported_at: Append `_rivet_exported_at`.
        row_hash: None for no hash column, an empty tuple for all columns, else the columns.
    """

    format: str
    writer: WriterOptions = WriterOptions()
    max_file_bytes: int | None = None
    skip_empty: bool = False
    add_exported_at: bool = False
    row_hash: tuple[str, ...] | None = None
