"""Resume of a run that ended without success: which one, and which of its parts are verified.

A part counts only while the destination still holds it as the state knows it. Nothing is deleted:
what no record knows goes into a folder of its own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rivet.errors import RefusedError, StalePlanError, StateDamagedError
from rivet.execution.run.prepare import day_of, day_of_run
from rivet.execution.run.recorded_names import refuse_foreign_parts, refuse_foreign_run
from rivet.execution.warning import warn
from rivet.model.plan import Mode
from rivet.model.resume import ResumeDecision, RunState
from rivet.plan.naming import place_of_part
from rivet.state.runs import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from rivet.config.models import ExportConfig
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.model.chunk import Chunk
    from rivet.model.part import RecordedPart
    from rivet.model.run import RunRow

QUARANTINE: Final = "_quarantine"


def decide_resume(
    export: ExportConfig, context: RunContext, started_at: datetime
) -> ResumeDecision:
    """Decide which run `--resume` means; an export that was never run begins.

    The caller holds the export's lock: a run that is unfinished belongs to nobody who lives.

    Raises:
        StateDamagedError: The state names one that cannot be a run of it.
    """
    fresh = ResumeDecision(day=day_of(context, started_at))
    if not context.options.resume or export.mode is not Mode.CHUNKED:
        return fresh
    newest = next(iter(context.state.runs(export.name, last=1)), None)
    if newest is None:
        return fresh
    refuse_foreign_run(newest, export.name)
    if newest.status not in UNFINISHED:
        if not context.options.force:
            return replace(fresh, complete=newest)
        note = f"run {newest.run_id} is complete; a new one begins, as --force asks"
        return replace(fresh, note=note)
    if not json.loads(newest.record.plan_json).get("is_lasting", False):
        note = (
            f"run {newest.run_id} cannot be resumed in another instant: its rows may have moved "
            "between chunks since; the export starts over"
        )
        return replace(fresh, note=note)
    return ResumeDecision(newest, day=day_of_run(newest))


def known_chunks(row: RunRow, context: RunContext) -> tuple[Chunk, ...]:
    """Return all chunks of a run that is resumed, once its record is known to be whole.

    Raises:
        StateDamagedError: Rows of the record are missing; rows of the table would be, too.
    """
    name = row.record.export_name
    try:
        refuse_foreign_parts(row, context.state.whole_parts(row.run_id))
        return context.state.chunks(row.run_id)
    except StateDamagedError as error:
        msg = f"export '{name}': run {row.run_id} cannot be resumed: {error.message}"
        hint = f"run it without --resume to start over: rivet run -e {name}"
        raise StateDamagedError(msg, hint=hint, export=name) from error


def refuse_other_plan(row: RunRow, job: Job) -> None:
    """Refuse to mix the parts of two plans.

    Raises:
        StalePlanError: The plan is another one than that of the run.
        RefusedError: Its files would go elsewhere.
    """
    plan, record = job.plan, row.record
    again = f"run it without --resume to start over: rivet run -e {plan.export_name}"
    if record.fingerprint != plan.fingerprint:
        msg = (
            f"export '{plan.export_name}': chunk plan fingerprint mismatch: run {row.run_id} was "
            f"planned as {record.fingerprint}, now it is {plan.fingerprint}; cannot resume"
        )
        raise StalePlanError(msg, hint=again, export=plan.export_name)
    if record.destination_uri != plan.destination_uri or record.format != plan.output.format:
        msg = (
            f"export '{plan.export_name}': run {row.run_id} wrote {record.format} to "
            f"{record.destination_uri}, now it would go to {plan.destination_uri}; cannot resume"
        )
        raise RefusedError(msg, hint=again, export=plan.export_name)


def run_state(
    job: Job,
    chunks: tuple[Chunk, ...],
    decision: ResumeDecision,
    destination: Destination,
    context: RunContext,
    ledger: RunProgress,
) -> RunState:
    """Return the verified parts of the run, after opening chunks again whose parts are not whole.

    Under the same lock as the decision; separate from it as only the plan tells where parts are.

    Args:
        job: The run of now.
        chunks: All of its chunks.
        decision: Whether it is a run that goes on.
        destination: Is asked for the parts.
        context: Its state is the record.
        ledger: Where remarks go; nothing else of it is touched.

    Raises:
        DestinationError: The destination cannot be looked at; nothing is assumed of it.
        StateDamagedError: The record names parts that cannot be of this run.
    """
    if decision.row is None:
        return RunState.fresh(chunks)
    run_id = decision.row.run_id
    parts = context.state.parts(run_id)
    refuse_foreign_parts(decision.row, parts)
    seen = context.state.observations(run_id)
    why = dict.fromkeys(_broken(parts, destination), "a part of it is not whole")
    for index in _unobserved(job, chunks, seen, context):
        why.setdefault(index, "what was counted in its rows is not known")
    for index, reason in sorted(why.items()):
        context.state.reopen_chunk(run_id, index)
        warn(context, ledger, "resume", f"chunk {index} is read again: {reason}")
    verified = tuple(part for part in parts if part.chunk_index not in why)
    quarantine_orphans(run_id, verified, destination, context, ledger)
    observed = tuple(told for index, told in seen.items() if index not in why)
    pending = tuple(context.state.chunks(run_id, is_incomplete=True))
    state = RunState(chunks, pending, verified, observed)
    text = f"run {run_id} goes on: {state.chunks_done} of {len(chunks)} chunks were done"
    warn(context, ledger, "resume", text)
    return state


def _broken(parts: Iterable[RecordedPart], destination: Destination) -> Iterator[int]:
    """Yield the chunks of parts that the destination does not hold as the record knows them."""
    for part in parts:
        found = destination.stat(part.name)
        if found is None or found.size_bytes != part.stats.size_bytes:
            yield part.chunk_index


def _unobserved(
    job: Job, chunks: Iterable[Chunk], seen: dict[int, str], context: RunContext
) -> set[int]:
    """Return complete chunks without the observations that rules need, or with unreadable ones."""
    unreadable = set()
    for index, told in seen.items():
        try:
            job.observations().merge_json(told)
        except ValueError:
            unreadable.add(index)
    if job.rules is None:
        return unreadable
    pending = {chunk.index for chunk in context.state.chunks(job.plan.run_id, is_incomplete=True)}
    return ({chunk.index for chunk in chunks} - pending - seen.keys()) | unreadable


def quarantine_orphans(
    run_id: str,
    parts: Iterable[RecordedPart],
    destination: Destination,
    context: RunContext,
    ledger: RunProgress,
) -> None:
    """Move objects of a run that are none of its parts under `_quarantine/`; delete nothing."""
    known = {part.name for part in parts}
    strangers = [
        found.name
        for found in destination.walk()
        if place_of_part(found.name, run_id) is not None and found.name not in known
    ]
    for name in strangers:
        destination.move(name, f"{QUARANTINE}/{run_id}/{name}")
    if strangers:
        message = f"{len(strangers)} files that were never recorded went to {QUARANTINE}/{run_id}"
        warn(context, ledger, "quarantine", message)
