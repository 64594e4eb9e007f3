"""Commit of parts: record what a worker has stored in the state.

Only `store` of the worker makes a `StoredPart`; only `record` makes a `RecordedPart`; only recorded
parts reach a manifest or move a watermark.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from shlex import quote
from typing import TYPE_CHECKING

from rivet.errors import (
    DestinationAuthError,
    DestinationError,
    ManifestMismatchError,
    RefusedError,
    RivetError,
)
from rivet.events import (
    ChunkCompleted,
    Emit,
    PartRecorded,
    PartStored,
)
from rivet.manifest import (
    MANIFEST_NAME,
    MANIFEST_NEWER,
    MAX_MANIFEST_BYTES,
    parse_manifest,
)
from rivet.redact import redact, visible_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.destinations.base import Destination
    from rivet.manifest import Manifest
    from rivet.model.chunk import Claim
    from rivet.model.part import RecordedPart, StoredPart
    from rivet.state.store import StateStore


@contextmanager
def failure_noted(claim: Claim, state: StateStore) -> Iterator[None]:
    """Mark the chunk as failed in the state when the body fails; the error goes on."""
    try:
        yield
    except RivetError as error:
        with suppress(RivetError):  # a second failure must not hide the first
            state.fail_chunk(claim, redact(error.message))
        raise


def stored_event(part: StoredPart, claim: Claim) -> PartStored:
    """Return the event that says so."""
    return PartStored(
        export_name=claim.export_name,
        run_id=claim.run_id,
        chunk_index=claim.chunk.index,
        ordinal=part.ordinal,
        name=part.name,
        rows=part.stats.rows,
        bytes=part.stats.size_bytes,
    )


def record(
    claim: Claim,
    stored: tuple[StoredPart, ...],
    observed: str | None,
    state: StateStore,
    emit: Emit,
) -> tuple[RecordedPart, ...]:
    """Record a chunk's parts, what was observed of them, and its end, in one transaction.

    Raises:
        RefusedError: Another worker took the chunk or the run meanwhile; nothing was recorded.
        StateError: The state cannot be written.
    """
    recorded = state.record(claim, stored, chunk_done=True, observed=observed)
    for part in recorded:
        emit(
            PartRecorded(
                export_name=claim.export_name,
                run_id=claim.run_id,
                chunk_index=claim.chunk.index,
                ordinal=part.ordinal,
                name=part.name,
            )
        )
    emit(
        ChunkCompleted(
            export_name=claim.export_name,
            run_id=claim.run_id,
            chunk_index=claim.chunk.index,
            rows=sum(part.stats.rows for part in recorded),
            parts=len(recorded),
        )
    )
    return recorded


def refuse_foreign_prefix(destination: Destination, export_name: str) -> Manifest | None:
    """Refuse a prefix whose manifest belongs to another export or to a change stream.

    Returns:
        The manifest that is there; None where there is none.

    Raises:
        RefusedError: Two exports would overwrite each other's manifest.
        ManifestMismatchError: The manifest there cannot be read.
    """
    manifest = manifest_of(destination, export_name)
    if manifest is None:
        return None
    owner = manifest.export_name
    if owner != export_name or manifest.mode != "batch":
        msg = (
            f"export '{export_name}': {destination.uri} already holds the files of "
            f"export '{visible_line(owner[:200])}' ({manifest.mode})"
        )
        raise RefusedError(
            msg,
            hint="give each export a path of its own, such as `path: out/{export}`",
            code="RIVET_REFUSED_PREFIX",
            export=export_name,
        )
    return manifest


def manifest_of(destination: Destination, export_name: str) -> Manifest | None:
    """Return the manifest of a prefix; None where there is none.

    Raises:
        ManifestMismatchError: There is one that cannot be read; says how to go on.
    """
    place = f"{destination.uri}/{MANIFEST_NAME}"
    file = place.removeprefix("file://")
    moved = f"mv {quote(file)} {quote(file + '.unreadable')}"
    hint: str | None = f"move it away and run again, which writes a new one: {moved}"
    try:
        body = destination.get(MANIFEST_NAME, max_bytes=MAX_MANIFEST_BYTES)
        return None if body is None else parse_manifest(body)
    except ManifestMismatchError as error:
        msg = f"export '{export_name}': {place}: {error.message}"
        code = error.error_code
        hint = error.hint if code == MANIFEST_NEWER else hint
        raise ManifestMismatchError(msg, hint=hint, code=code, export=export_name) from error
    except DestinationError as error:
        if error.retryable or isinstance(error, DestinationAuthError):
            raise
        msg = f"export '{export_name}': {error.message}"
        raise ManifestMismatchError(msg, hint=hint, export=export_name) from error
