"""Rows of chunks: planned once, claimed by number, completed together with their last part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.errors import InternalError, RefusedError
from rivet.model.chunk import Chunk, Claim
from rivet.model.span import WHOLE, Span
from rivet.redact import redact
from rivet.state.decoding import all_there, decoding, number, optional_text, written
from rivet.state.runs import assert_running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rivet.state.database import Row, Statements

_STATUSES: Final = frozenset({"pending", "running", "failed", "completed"})


def plan(db: Statements, run_id: str, chunks: Sequence[Chunk], now: datetime) -> None:
    """Insert chunks as pending; one that is planned already with the same bounds stays as it is.

    Raises:
        RefusedError: The run was superseded.
        InternalError: The run is not running, or an index is planned with other bounds.
    """
    planned = {chunk.index: chunk for chunk in listed(db, run_id)}
    new = [chunk for chunk in chunks if chunk.index not in planned]
    assert_running(db, run_id, new_chunks=len(new))
    for chunk in chunks:
        if chunk != planned.setdefault(chunk.index, chunk):
            msg = f"chunk {chunk.index} of run '{run_id}' is planned with other bounds already"
            raise InternalError(msg)
    for chunk in new:
        inserted = db.change(
            "INSERT INTO pyrivet.chunks (run_id, chunk_index, kind, lower_bound, upper_bound,"
            " span_json, status, claim_number, updated_at)"
            " VALUES (:run_id, :chunk_index, :kind, :lower_bound, :upper_bound, :span_json,"
            " 'pending', 0, :now)",
            run_id=run_id,
            chunk_index=chunk.index,
            kind=str(chunk.span.kind),
            lower_bound=chunk.span.lower_label,
            upper_bound=chunk.span.upper_label,
            span_json=chunk.span.to_json(),
            now=now,
        )
        written(inserted, "chunks")


def listed(db: Statements, run_id: str, *, is_incomplete: bool = False) -> tuple[Chunk, ...]:
    """Return the planned chunks of a run by index; all, or only those not complete."""
    rows = db.many(
        "SELECT chunk_index, kind, lower_bound, upper_bound, span_json, c.status, claim_number,"
        " recorded_chunks FROM pyrivet.runs AS r"
        " LEFT JOIN pyrivet.chunks AS c ON c.run_id = r.run_id"
        " WHERE r.run_id = :run_id ORDER BY chunk_index",
        run_id=run_id,
    )
    with decoding("chunks"):
        expected = number(rows[0], "recorded_chunks") if rows else 0
        found = [(_chunk(row), row["status"]) for row in rows if row["chunk_index"] is not None]
    # One that is missing would be rows that are missing.
    all_there([chunk.index for chunk, _ in found], range(expected), "chunks")
    return tuple(chunk for chunk, status in found if not is_incomplete or status != "completed")


def _chunk(row: Row) -> Chunk:
    is_unclaimed = number(row, "claim_number") == 0
    if row["status"] not in _STATUSES or (is_unclaimed and row["status"] == "completed"):
        raise ValueError
    told = optional_text(row, "span_json")
    # Before revision 3 every chunk was the whole relation.
    span = WHOLE if told is None else Span.from_json(told)
    shown = (row["kind"], row["lower_bound"], row["upper_bound"])
    if told is not None and shown != (span.kind, span.lower_label, span.upper_label):
        raise ValueError
    return Chunk(number(row, "chunk_index"), span)


def reopen(db: Statements, run_id: str, index: int, now: datetime) -> None:
    """Make a chunk of a running run pending again: parts of it are not there any more.

    Raises:
        RefusedError: The run was superseded.
    """
    assert_running(db, run_id)
    db.change(
        "UPDATE pyrivet.chunks SET status = 'pending', updated_at = :now"
        " WHERE run_id = :run_id AND chunk_index = :chunk_index",
        run_id=run_id,
        chunk_index=index,
        now=now,
    )
    db.change(
        "UPDATE pyrivet.parts SET is_void = 1 WHERE run_id = :run_id"
        " AND chunk_index = :chunk_index",
        run_id=run_id,
        chunk_index=index,
    )


def split(db: Statements, claim: Claim, kept: Span, given: Chunk, now: datetime) -> None:
    """Leave a part of a chunk that is being read to a new one, in one step.

    Raises:
        RefusedError: The claim or the run does not stand any more; nothing was changed.
    """
    plan(db, claim.run_id, [given], now)
    assert_claim_current(db, claim, now, status="running")
    db.change(
        "UPDATE pyrivet.chunks SET span_json = :span_json, upper_bound = :upper_bound"
        " WHERE run_id = :run_id AND chunk_index = :chunk_index",
        run_id=claim.run_id,
        chunk_index=claim.chunk.index,
        span_json=kept.to_json(),
        upper_bound=kept.upper_label,
    )


def claim(db: Statements, run_id: str, export_name: str, chunk: Chunk, now: datetime) -> Claim:
    """Take a chunk: its claim number rises, so that every earlier claim is superseded.

    Parts that an earlier claim recorded before it failed become void: the chunk is read again
    from its start, and they would double its rows.

    Raises:
        RefusedError: The run was superseded.
        InternalError: The chunk is not planned, or it is complete.
    """
    assert_running(db, run_id)
    changed = db.change(
        "UPDATE pyrivet.chunks SET claim_number = claim_number + 1, status = 'running',"
        " updated_at = :now WHERE run_id = :run_id AND chunk_index = :chunk_index"
        " AND status <> 'completed'",
        run_id=run_id,
        chunk_index=chunk.index,
        now=now,
    )
    row = db.one(
        "SELECT status, claim_number FROM pyrivet.chunks"
        " WHERE run_id = :run_id AND chunk_index = :chunk_index",
        run_id=run_id,
        chunk_index=chunk.index,
    )
    if row is not None and row["status"] != "completed":
        written(changed, "chunks")
    if changed != 1 or row is None:
        found = "not planned" if row is None else "complete already"
        msg = f"chunk {chunk.index} of run '{run_id}' cannot be claimed: it is {found}"
        raise InternalError(msg)
    db.change(
        "UPDATE pyrivet.parts SET is_void = 1"
        " WHERE run_id = :run_id AND chunk_index = :chunk_index AND is_void = 0",
        run_id=run_id,
        chunk_index=chunk.index,
    )
    return Claim(run_id, export_name, chunk, int(row["claim_number"]))


def assert_claim_current(db: Statements, claim: Claim, now: datetime, *, status: str) -> None:
    """Compare-and-set on the claim number; the chunk gets the status if the claim still stands.

    Raises:
        RefusedError: A later claim took the chunk over.
    """
    changed = db.change(
        "UPDATE pyrivet.chunks SET status = :status, updated_at = :now"
        " WHERE run_id = :run_id AND chunk_index = :chunk_index"
        " AND claim_number = :claim_number AND status = 'running'",
        run_id=claim.run_id,
        chunk_index=claim.chunk.index,
        claim_number=claim.number,
        status=status,
        now=now,
    )
    if changed != 1:
        msg = (
            f"claim {claim.number} on chunk {claim.chunk.index} of run '{claim.run_id}' "
            "does not stand any more; it may record nothing"
        )
        hint = "nothing to do: the later claim stands"
        raise RefusedError(msg, code="RIVET_REFUSED_SUPERSEDED", hint=hint)


def fail(db: Statements, claim: Claim, error_text: str, now: datetime) -> None:
    """Mark a claimed chunk as failed, so that it can be claimed again."""
    assert_claim_current(db, claim, now, status="failed")
    db.change(
        "UPDATE pyrivet.chunks SET last_error = :error"
        " WHERE run_id = :run_id AND chunk_index = :chunk_index",
        run_id=claim.run_id,
        chunk_index=claim.chunk.index,
        error=redact(error_text),
    )
