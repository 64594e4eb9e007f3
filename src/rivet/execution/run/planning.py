"""Run planning, the preparation of a run: all that is asked of the source before its first row.

Nothing is on record yet: what is refused here leaves no run behind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rivet.execution.run.begin import note_kernel
from rivet.execution.run.continuity import note_unknown
from rivet.execution.run.cut import cut
from rivet.execution.run.ownership import owned, refuse_other_source
from rivet.execution.run.prefix import note_neighbour, place_of
from rivet.execution.run.resume import known_chunks, refuse_other_plan
from rivet.execution.run.server_impact import server_impact
from rivet.execution.run.unstable_queries import less_certain
from rivet.execution.run.window import window_of
from rivet.execution.warning import not_covered, warn
from rivet.model.types import JsonPolicy
from rivet.plan.strategies import chunks
from rivet.redact import visible
from rivet.sources.abilities import NoticesProxies, TellsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.model.chunk import Chunk
    from rivet.model.resume import ResumeDecision
    from rivet.model.run import RunRow
    from rivet.sources.base import Session


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What a run will do.

    Attributes:
        job: The export, ready to run.
        chunks: All chunks of the run, those that are done too.
        remarks: What the user should know of it, each under the name of its rule.
        impact_before: The server's counters, where they are compared at the end.
    """

    job: Job
    chunks: tuple[Chunk, ...]
    remarks: tuple[tuple[str, str], ...]
    impact_before: dict[str, int]


def plan_run(
    job: Job,
    decision: ResumeDecision,
    session: Session,
    context: RunContext,
    ledger: RunProgress,
) -> PlannedRun:
    """Find out what a prepared export goes on from, its window and its chunks.

    Raises:
        RivetError: It cannot be run as asked, or the source cannot answer.
    """
    row = decision.row
    impact = server_impact(session) if job.is_chunked else {}
    remarks = [*_of_session(session, job), *_no_json(job), *_no_columns(job)]
    job = owned(job, session, context, ledger)
    if row is not None:
        refuse_other_source(row, job, session)
    job = replace(job, window=window_of(job.export, job, session, context))
    job = less_certain(job, session)
    planned = _chunks(job, row, session, context, ledger)
    remarks += [("resume", decision.note)] if decision.note is not None else []
    remarks += [("plan", job.note)] if job.note is not None else []
    return PlannedRun(job, planned, tuple(remarks), impact)


def _of_session(session: Session, job: Job) -> Iterator[tuple[str, str]]:
    if isinstance(session, NoticesProxies) and (text := session.proxy_note()) is not None:
        yield "proxy", text
    if not isinstance(session, TellsSettings):
        return
    if (text := session.settings_note(job.plan.relation)) is not None:
        yield "settings", text


def _no_json(job: Job) -> list[tuple[str, str]]:
    """Return a remark for each column that was asked about and found not to be JSON."""
    if job.export.types.json_label is not JsonPolicy.CHECK:
        return []
    return [
        ("json", f"column '{visible(column.name)}' is {note}")
        for column in job.plan.columns
        for note in column.notes
        if note.startswith("kept as text")
    ]


def _no_columns(job: Job) -> Iterator[tuple[str, str]]:
    """Yield a remark for each type that the configuration has for a column that is not there."""
    names = [column.source_name for column in job.plan.columns]
    for name in sorted(set(job.export.columns) - set(names)):
        near = get_close_matches(name, names, n=1)
        meant = f"; did you mean '{visible(near[0])}'?" if near else ""
        yield "columns", f"`columns` has a type for '{visible(name)}', which is not there{meant}"


def _chunks(
    job: Job, row: RunRow | None, session: Session, context: RunContext, ledger: RunProgress
) -> tuple[Chunk, ...]:
    """Return all chunks of the run; one that is resumed keeps the bounds it began with."""
    if row is not None:
        return known_chunks(row, context)
    if job.window is not None:
        return tuple(chunks(job.window.spans))
    plan = job.plan

    def tell(text: str) -> None:
        warn(context, ledger, "chunks", text)

    return tuple(chunks(cut(plan.shape, plan.relation, plan.facts, session, tell)))


def note_plan(planned: PlannedRun, context: RunContext, ledger: RunProgress) -> None:
    """Tell what the user should know before the first row.

    Raises:
        RefusedError: The export is strict, and rows are left out of its window.
    """
    job = planned.job
    _note_window(job, context, ledger)
    for rule, text in planned.remarks:
        warn(context, ledger, rule, text)
    ledger.job = job
    note_kernel(job, context, ledger)


def _note_window(job: Job, context: RunContext, ledger: RunProgress) -> None:
    window = job.window
    if window is None:
        return
    ledger.guarantee = window.guarantee
    if not window.is_certain:
        warn(context, ledger, "cursor", f"the window is {window.guarantee}")
    for remark in window.remarks:
        warn(context, ledger, "cursor", remark)
    if window.left_out:
        hint = "give those rows a value, or read them with an export of their own"
        not_covered(job.export, context, ledger, "cursor", window.left_out, hint)


def refuse_plan(
    job: Job,
    row: RunRow | None,
    destination: Destination,
    context: RunContext,
    ledger: RunProgress,
) -> None:
    """Refuse what would mix runs, or leave out rows that a strict export wants.

    Raises:
        RivetError: The files there are a stream's, the run that goes on has another plan, or
            a policy hides rows.
    """
    if job.is_listable:
        place = place_of(job.export, context.config, destination)
        note_unknown(job.export, place.manifest, context, ledger)
        note_neighbour(place, job.export, context, ledger)
    if row is not None:
        refuse_other_plan(row, job)
    if hidden := ", ".join(map(visible, job.plan.facts.hidden)):
        text = f"row-level security applies to this user ({hidden}): rows it hides are not read"
        hint = "read as a user whom no policy restricts, such as one with BYPASSRLS"
        not_covered(job.export, context, ledger, "row-security", text, hint)
