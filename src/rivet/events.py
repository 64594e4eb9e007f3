"""Every event of a run: one frozen record each, and its form as one JSON line.

Events feed the screen, the plain log, JSON lines, the journal, a parent process and the crash
tests. Fields may be added, never renamed or removed; readers ignore what they do not know. Events
hold names, counts and redacted messages, never cell values or secrets.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

__all__ = [
    "EVENT_TYPES",
    "ChunkCompleted",
    "ChunkStarted",
    "Emit",
    "Event",
    "ExportFinished",
    "ExportStarted",
    "ManifestWritten",
    "PartRecorded",
    "PartStored",
    "PlanResolved",
    "Progress",
    "ProgressInit",
    "RetryAttempted",
    "SchemaChanged",
    "SuccessWritten",
    "Warned",
    "from_line",
    "to_line",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one export."""

    type: ClassVar[str] = ""

    export_name: str


@dataclass(frozen=True, slots=True)
class ExportStarted(Event):
    """The plan stands and the run is in the state store; reading begins."""

    type: ClassVar[str] = "started"

    run_id: str
    mode: str
    tuning_profile: str
    batch_size: int
    estimated_rows: int | None = None


@dataclass(frozen=True, slots=True)
class PlanResolved(Event):
    """What the run will read and write."""

    type: ClassVar[str] = "plan_resolved"

    run_id: str
    relation: str
    mode: str
    format: str
    compression: str
    destination_type: str
    columns: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ProgressInit(Event):
    """The number of chunks is known."""

    type: ClassVar[str] = "progress_init"

    total_chunks: int


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """Running totals of a run, never differences."""

    type: ClassVar[str] = "progress"

    chunks_done: int
    rows: int
    bytes_read: int = 0
    bytes_written: int = 0


@dataclass(frozen=True, slots=True)
class ChunkStarted(Event):
    """A chunk was claimed."""

    type: ClassVar[str] = "chunk_started"

    run_id: str
    chunk_index: int
    claim_number: int


@dataclass(frozen=True, slots=True)
class PartStored(Event):
    """A part is durable under its final name; the state does not know it yet."""

    type: ClassVar[str] = "part_stored"

    run_id: str
    chunk_index: int
    ordinal: int
    name: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PartRecorded(Event):
    """The state knows a stored part: it is data from here on."""

    type: ClassVar[str] = "part_recorded"

    run_id: str
    chunk_index: int
    ordinal: int
    name: str


@dataclass(frozen=True, slots=True)
class ChunkCompleted(Event):
    """All parts of a chunk are recorded."""

    type: ClassVar[str] = "chunk_completed"

    run_id: str
    chunk_index: int
    rows: int
    parts: int


@dataclass(frozen=True, slots=True)
class RetryAttempted(Event):
    """A chunk is tried again after a passing failure."""

    type: ClassVar[str] = "retry_attempted"

    run_id: str
    chunk_index: int
    attempt: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class SchemaChanged(Event):
    """The columns differ from those of the last run."""

    type: ClassVar[str] = "schema_changed"

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something a person should know that does not stop the run."""

    type: ClassVar[str] = "warning"

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class ManifestWritten(Event):
    """A manifest is durable; `name` tells which of the two."""

    type: ClassVar[str] = "manifest_written"

    run_id: str
    name: str


@dataclass(frozen=True, slots=True)
class SuccessWritten(Event):
    """`_SUCCESS` is durable and agrees with the manifest."""

    type: ClassVar[str] = "success_written"

    run_id: str


@dataclass(frozen=True, slots=True)
class ExportFinished(Event):
    """The verdict of one run of one export; comes exactly once, last."""

    type: ClassVar[str] = "finished"

    run_id: str
    status: str
    total_rows: int
    files_produced: int
    bytes_written: int
    duration_ms: int
    peak_rss_mb: int
    error_message: str | None = None
    dest_retries: int = 0
    error_code: str | None = None
    bytes_read: int = 0


Emit = Callable[[Event], None]

EVENT_TYPES: Final[dict[str, type[Event]]] = {
    cls.type: cls
    for cls in (
        ExportStarted,
        PlanResolved,
        ProgressInit,
        Progress,
        ChunkStarted,
        PartStored,
        PartRecorded,
        ChunkCompleted,
        RetryAttempted,
        SchemaChanged,
        Warned,
        ManifestWritten,
        SuccessWritten,
        ExportFinished,
    )
}


def to_line(event: Event) -> str:
    """Return the event as one line of JSON without the line feed, `type` first."""
    body = {"type": event.type, **dataclasses.asdict(event)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def from_line(line: str) -> Event | None:
    """Read one line leniently: anything that is not a known event gives None.

    Unknown fields are dropped; a missing field without a default makes the line unreadable.
    """
    try:
        body = json.loads(line)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    cls = EVENT_TYPES.get(str(body.get("type")))
    if cls is None:
        return None
    names = {field.name for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in body.items()
        if key in names
    }
    try:
        return cls(**values)
    except TypeError:
        return None
