"""Context of a child process: one JSON document from its parent, on a file descriptor.

It may hold secrets that the configuration holds, so it never touches argv, a file or a log.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rivet.config.load import config_from_document, file_digest
from rivet.errors import InternalError, RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.config.models import Config

VARIABLE: Final = "RIVET_CONTEXT_FD"
_VERSION: Final = 1
_MAX_BYTES: Final = 64 * 1024 * 1024
_BLOCK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ChildContext:
    """The run a child is part of.

    Attributes:
        run_id: The name its run will have, so that the parent finds its record.
        run_aggregate_id: The whole invocation.
        run_started_at: When that began, ISO 8601 in UTC: every export's `{date}` is of this day.
        config_digest: Of the file the parent read.
        config: The configuration with this export alone, substituted; may hold secrets.
        params: The `--param` values, for query files.
        snapshot: An instant shared by all exports, as text; None without one.
        max_connections: How many connections to the source it may hold; None for no limit.
        max_memory_mb: Its share of the memory budget; None for no budget.
    """

    run_id: str
    run_aggregate_id: str
    run_started_at: str
    config_digest: str
    config: dict[str, Any] = field(repr=False)
    params: dict[str, str] = field(repr=False)
    snapshot: str | None = None
    max_connections: int | None = None
    max_memory_mb: int | None = None
    version: int = _VERSION

    @property
    def started_at(self) -> datetime:
        """When the whole invocation began."""
        return datetime.fromisoformat(self.run_started_at)


def to_bytes(context: ChildContext) -> bytes:
    """Return the document."""
    return json.dumps(asdict(context), separators=(",", ":")).encode()


def offer(document: bytes) -> int:
    """Return a descriptor from which a child can read the document; the caller closes it.

    Raises:
        OSError: No descriptor is left.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rivet-context", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(document)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor
    reader, writer = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writer, "wb") as file:
            file.write(document)

    threading.Thread(target=write, name="rivet-context", daemon=True).start()
    return reader


def read(descriptor: int) -> ChildContext:
    """Read the document and close the descriptor.

    Raises:
        InternalError: It is not a document of this version, or asks for what this version lacks.
    """
    try:
        with os.fdopen(descriptor, "rb") as file:
            body = json.loads(file.read(_MAX_BYTES))
        context = ChildContext(**body)
    except (OSError, ValueError, TypeError) as error:
        msg = "the context of this child process cannot be read"
        hint = f"to run the export by hand, unset {VARIABLE}"
        raise InternalError(msg, hint=hint) from error
    if context.version != _VERSION:
        msg = "the context of this child process is of another version of Rivet"
        raise InternalError(msg, hint="run it again: the program was replaced while it ran")
    return context


def config_of(context: ChildContext, path: Path) -> Config:
    """Return the configuration the parent has, if the file still is the one it read.

    Raises:
        RefusedError: The file is another one now.
        ConfigError: It cannot be read.
    """
    if file_digest(path) != context.config_digest:
        msg = f"{path} was changed after the run began"
        raise RefusedError(
            msg,
            hint="run again with the new configuration",
            code="RIVET_REFUSED_CONFIG_CHANGED",
        )
    return config_from_document(
        context.config, path=path, digest=context.config_digest, params=context.params
    )
