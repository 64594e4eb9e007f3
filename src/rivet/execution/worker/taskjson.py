"""Worker contract as JSON: chunk tasks, results and failures on their way between processes.

The schema is that of the dataclasses; a field that this version does not know is refused, for it
may change which rows are read.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import rivet.errors
from rivet.errors import InternalError, RivetError
from rivet.execution.worker.contract import ChunkResult, ChunkTask
from rivet.execution.worker.observe import Observations
from rivet.model.part import StoredPart
from rivet.model.source import Snapshot
from rivet.sources.base import ReadCounters

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION: Final = 1


def task_to_json(task: ChunkTask) -> str:
    """Return a task as one line of JSON; it holds no secret."""
    return json.dumps({"version": VERSION, "task": _dump(ChunkTask, task)}, separators=(",", ":"))


def task_from_json(text: str) -> ChunkTask:
    """Return the task that `task_to_json` wrote.

    Raises:
        InternalError: It is something else, or of another version.
    """
    body = _versioned(text)
    task: ChunkTask = _load(ChunkTask, body.get("task"))
    return task


def result_to_json(result: ChunkResult) -> str:
    """Return a result as one line of JSON."""
    body = {
        "version": VERSION,
        "stored": [_dump(StoredPart, part) for part in result.stored],
        "observed": result.observations.to_json(),
        "counters": _dump(ReadCounters, result.counters),
        "snapshot": _dump(Snapshot, result.snapshot),
    }
    return json.dumps(body, separators=(",", ":"))


def result_from_json(text: str, task: ChunkTask) -> ChunkResult:
    """Return the result that `result_to_json` wrote.

    Args:
        text: One line.
        task: What was to be done: it says what was observed.

    Raises:
        InternalError: It is something else, or of another version.
    """
    body = _versioned(text)
    seen = Observations.of(task.rules, task.schema)
    try:
        stored = tuple(_load(StoredPart, part) for part in body["stored"])
        if body["observed"] is not None:
            seen.merge_json(body["observed"])
        counters = _load(ReadCounters, body["counters"])
        return ChunkResult(stored, seen, counters, _load(Snapshot, body["snapshot"]))
    except (KeyError, TypeError, ValueError) as error:
        msg = "a worker sent what is no result of a chunk task"
        raise InternalError(msg) from error


def part_to_json(part: StoredPart) -> str:
    """Return a stored part as one line of JSON."""
    return json.dumps({"version": VERSION, "part": _dump(StoredPart, part)})


def part_from_json(text: str) -> StoredPart:
    """Return the part that `part_to_json` wrote.

    Raises:
        InternalError: It is something else, or of another version.
    """
    part: StoredPart = _load(StoredPart, _versioned(text).get("part"))
    return part


def error_to_json(error: RivetError) -> str:
    """Return a failure as one line of JSON."""
    return json.dumps({"version": VERSION, "kind": type(error).__name__, **error.to_json()})


def error_from_json(text: str) -> RivetError:
    """Return the failure that `error_to_json` wrote, of the same class.

    Raises:
        InternalError: It is something else, or of another version.
    """
    body = _versioned(text)
    kind = getattr(rivet.errors, str(body.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, RivetError)):
        msg = f"a worker failed in a way that is not known: {body.get('kind')}"
        raise InternalError(msg)
    error = kind(str(body.get("error")), hint=body.get("hint"), code=body.get("code"))
    error.context = {str(key): str(value) for key, value in dict(body["context"]).items()}
    return error


def _versioned(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
        version = body["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = "what came from another process is not the JSON of a chunk task"
        raise InternalError(msg) from error
    if version != VERSION:
        msg = f"the other process speaks version {version} of chunk tasks, this one {VERSION}"
        raise InternalError(msg, hint="run the same version of Rivet everywhere")
    return dict(body)


def _dump(kind: type, value: object) -> Any:  # noqa: ANN401 - plain JSON
    return _adapter(kind).dump_python(value, mode="json", exclude_defaults=True)


def _load(kind: type, body: object) -> Any:  # noqa: ANN401 - an instance of `kind`
    from pydantic import ValidationError

    try:
        found = _adapter(kind).validate_json(json.dumps(body), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"the JSON of a {kind.__name__} is not right at `{where}`: {first['type']}"
        raise InternalError(msg) from error
    if _dump(kind, found) != body:
        msg = f"the JSON of a {kind.__name__} holds what this version does not know"
        raise InternalError(msg, hint="run the same version of Rivet everywhere")
    return found


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    """Return the schema of a dataclass, whose annotations name types that it does not import."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(kind, _parent_depth=0)
    adapter.rebuild(_types_namespace=_names())
    return adapter


@cache
def _names() -> dict[str, Any]:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from rivet.model import (
        chunk,
        columns,
        output,
        part,
        plan,
        quality,
        relation,
        shape,
        sink,
        source,
        sourceref,
        span,
        types,
    )

    nouns = (chunk, columns, output, part, plan, quality, relation)
    places = (shape, sink, source, sourceref, span, types)
    found: dict[str, Any] = {
        name: one
        for module in (*nouns, *places)
        for name, one in vars(module).items()
        if isinstance(one, type)
    }
    return found | {
        "AbstractContextManager": AbstractContextManager,
        "Callable": Callable,
        "Mapping": Mapping,
        "Path": Path,
        "datetime": datetime,
    }
