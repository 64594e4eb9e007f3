"""Commit of parts: record what a worker has stored in the state.

Only `store` of the worker makes a `StoredPart`; only `record` makes a `RecordedPart`; only recorded
parts reach a manifest or move a watermark.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rivet.errors import RivetError
from rivet.events import (
    ChunkCompleted,
    Emit,
    PartRecorded,
    PartStored,
)
from rivet.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

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
