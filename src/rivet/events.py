"""Every event of a run: one frozen record each, and its form as one JSON line.

Events feed the screen, the plain log, JSON lines, the journal, a parent process and the crash
tests. Fields may be added, never renamed or removed; readers ignore what they do not know. Events
hold names, counts and redacted messages, never cell values or secrets.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, get_args, get_origin, get_type_hints

__all__ = [
    "EVENT_TYPES",
    "ChunkCompleted",
    "ChunkStarted",
    "Emit",
    "Event",
    "ExportFinished",
    "ExportLaunched",
    "ExportStarted",
    "ManifestWritten",
    "ParallelismAdjusted",
    "PartRecorded",
    "PartStored",
    "PlanResolved",
    "Progress",
    "ProgressInit",
    "Reconciled",
    "RetryAttempted",
    "RunRecorded",
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
class ExportLaunched(Event):
    """The export's turn has come; `pid` is the process that works on it."""

    type: ClassVar[str] = "launched"

    run_id: str
    pid: int


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
class Reconciled(Event):
    """The source was counted in the instant that was read; nothing is published before."""

    type: ClassVar[str] = "reconciled"

    run_id: str
    exported_rows: int
    source_rows: int
    is_match: bool


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
class ParallelismAdjusted(Event):
    """More or fewer chunks are read at the same time from now on, and why."""

    type: ClassVar[str] = "parallelism_adjusted"

    run_id: str
    before: int
    after: int
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
    """Something a person should know; under no export's name if it is of the invocation."""

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
class RunRecorded(Event):
    """The good end of a run is on record; nothing that follows takes it back."""

    type: ClassVar[str] = "run_recorded"

    run_id: str
    status: str


@dataclass(frozen=True, slots=True)
class ExportFinished(Event):
    """The verdict of one run of one export; comes exactly once, last.

    Attributes:
        exit_code: What a process that runs this export alone ends with.
        is_synthetic: Given by whoever watched the export's process, not by the export itself.
        details: What the report of the run says besides (`ExportReport.details`).
    """

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
    error_hint: str | None = None
    exit_code: int = 0
    is_retryable: bool = False
    is_synthetic: bool = False
    mode: str = ""
    details: dict[str, Any] | None = None


Emit = Callable[[Event], None]

EVENT_TYPES: Final[dict[str, type[Event]]] = {
    cls.type: cls
    for cls in tuple(globals().values())
    if isinstance(cls, type) and issubclass(cls, Event) and cls is not Event
}


def to_line(event: Event) -> str:
    """Return the event as one line of JSON without the line feed, `type` first."""
    return json.dumps(
        {"type": event.type, **dataclasses.asdict(event)}, ensure_ascii=False, separators=(",", ":")
    )


def from_line(line: str) -> Event | None:
    """Read one line leniently: anything that is not a known event gives None. Never raises.

    Unknown fields are dropped. A missing field without a default or a field of another JSON type
    makes the line unreadable, as do integers of more than 64 bits and floats that are not finite.
    Lone surrogates become U+FFFD.
    """
    try:
        body = _DECODER.decode(line)
        kind = body.get("type") if isinstance(body, dict) else None
        if not isinstance(kind, str) or kind not in EVENT_TYPES:
            return None
        readers = _readers(kind)
        return EVENT_TYPES[kind](
            **{key: readers[key](body[key]) for key in readers.keys() & body.keys()}
        )
    except (ValueError, TypeError, RecursionError):
        return None


_MAX_DEPTH: Final = 32
_Reader = Callable[[Any], Any]
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(text)


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


@functools.cache
def _readers(kind: str) -> dict[str, _Reader]:
    cls = EVENT_TYPES[kind]
    hints = get_type_hints(cls)
    return {field.name: _reader(hints[field.name]) for field in dataclasses.fields(cls)}


def _reader(hint: Any) -> _Reader:  # noqa: ANN401 - a type as annotations have it
    choices = [choice for choice in get_args(hint) if choice is not type(None)]
    if type(None) in get_args(hint):
        read = _reader(choices[0])
        return lambda value: None if value is None else read(value)
    return _READERS[get_origin(hint) or hint]


def _text(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    if not isinstance(value, str):
        raise TypeError
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value)


def _integer(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int:
        raise TypeError
    if not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _number(value: Any) -> float:  # noqa: ANN401
    return value if type(value) is float else float(_integer(value))


def _boolean(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, bool):
        return value
    raise TypeError


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(_text, value))


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise TypeError
    return {_text(key): _any(item, _MAX_DEPTH) for key, item in value.items()}


def _any(value: Any, depth: int) -> Any:  # noqa: ANN401
    if not isinstance(value, dict | list):
        return _text(value) if isinstance(value, str) else value
    if not depth:
        raise ValueError
    if isinstance(value, list):
        return [_any(item, depth - 1) for item in value]
    return {_text(key): _any(item, depth - 1) for key, item in value.items()}


_READERS: Final[dict[Any, _Reader]] = {
    str: _text,
    int: _integer,
    float: _number,
    bool: _boolean,
    tuple: _texts,
    dict: _mapping,
}
