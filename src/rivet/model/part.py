"""A part on its way to being data: written, then stored, then recorded.

The order is carried by the types: only `store` makes a `StoredPart`, only `record` a
`RecordedPart`, and only recorded parts may move a watermark or enter a manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.model.source import Position


@dataclass(frozen=True, slots=True)
class ColumnStats:
    """What a writer counted in one column; min and max are text, None where not tracked."""

    name: str
    null_count: int | None = None
    minimum: str | None = None
    maximum: str | None = None


@dataclass(frozen=True, slots=True)
class FileStats:
    """What a writer knows when its file is whole.

    Attributes:
        rows: Rows written.
        size_bytes: Size of the file.
        content_hash: `xxh3:` and 16 hex digits over the file's bytes.
        content_md5: MD5 of the file's bytes, base64.
        columns: Per-column counts, in file order.
    """

    rows: int
    size_bytes: int
    content_hash: str
    content_md5: str
    columns: tuple[ColumnStats, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that is durable under its final name, and that nothing refers to yet."""

    name: str
    uri: str
    ordinal: int
    stats: FileStats
    instant: Position | None = None


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """A stored part that the state knows: from here on it is data.

    Attributes:
        chunk_index: Of a stream of changes, the number of its commit unit.
        instant: The place in the source's history it was read from, where the engine has one.
        relation: Which relation of a stream it holds; None for all other exports.
    """

    part_id: int
    run_id: str
    export_name: str
    chunk_index: int
    claim_number: int
    name: str
    uri: str
    ordinal: int
    stats: FileStats
    recorded_at: datetime
    instant: Position | None = None
    relation: str | None = None

    @property
    def location(self) -> str:
        """Its path on this machine where it is a local file, its URI for everything else."""
        return self.uri.removeprefix("file://")  # unescaped, as the destination wrote it
