"""The coordinator: one run of one export, whatever its mode, engine, format and destination."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rivet.config.resolve import resolve_tuning
from rivet.errors import RivetError, SourceError, SourceQueryError
from rivet.execution.pool.governor import Governor, Permits
from rivet.execution.pool.splitting import Splitter
from rivet.execution.pool.threads import run_chunks
from rivet.execution.run.begin import begin_run, note_kernel
from rivet.execution.run.checks import (
    reconcile,
    refuse_unverifiable,
)
from rivet.execution.run.chunk import ChunkRunner, judge
from rivet.execution.run.commit import refuse_foreign_prefix
from rivet.execution.run.continuity import note_unknown, refuse_lost
from rivet.execution.run.cut import cut
from rivet.execution.run.finish import finish_dead, finish_run
from rivet.execution.run.ownership import owned, refuse_other_source
from rivet.execution.run.prepare import (
    open_export_destination,
    prepare,
)
from rivet.execution.run.prune import prune_after_run
from rivet.execution.run.resume import (
    decide_resume,
    known_chunks,
    refuse_other_plan,
    verified_parts,
)
from rivet.execution.run.unstable_queries import less_certain
from rivet.execution.run.window import window_of
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import open_sessions
from rivet.execution.warning import not_covered, warn
from rivet.model.plan import Mode
from rivet.model.types import JsonPolicy
from rivet.plan.strategies import chunks
from rivet.redact import visible
from rivet.sources import load_engine
from rivet.sources.base import NoticesProxies, ReportsImpact
from rivet.sources.meaning import TellsSettings
from rivet.state.locks import export_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rivet.config.models import ExportConfig
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.model.chunk import Chunk
    from rivet.model.run import RunRow
    from rivet.sources.base import Session


def run_export(export: ExportConfig, context: RunContext, ledger: RunProgress) -> str:
    """Run one export to its end.

    Args:
        export: The export's configuration.
        context: What the exports of this invocation share.
        ledger: Filled as the run goes on, also when it fails.

    Returns:
        `success`, or `skipped` for an export without rows that asked for it, or for one that is
        to be resumed and has nothing left to do.

    Raises:
        RivetError: The run failed; parts that are not recorded are not data, the manifest,
            `_SUCCESS` and the watermark are as they were.
    """
    tuning = resolve_tuning(context.config, export)
    with ExitStack() as stack:
        stack.enter_context(
            export_lock(context.state, export.name, wait=export.on_overlap == "wait")
        )
        if not context.is_state_checked:
            context.state.check_writable()
        finish_dead(export, context, ledger)
        taken_up = decide_resume(export, context, ledger.started_at)
        if taken_up.complete is not None:
            ledger.skip_reason = f"nothing to resume: run {taken_up.complete.run_id} is complete"
            return "skipped"
        row, ledger.day = taken_up.row, taken_up.day
        if row is not None:
            ledger.take_up(row.run_id, row.record.started_at)
        sessions = open_sessions(
            context.config,
            tuning,
            context.env,
            context.stop,
            on_wait=lambda text: warn(context, ledger, "waiting", text),
            max_connections=context.max_connections,
        )
        snapshots = SnapshotHolder(
            sessions, context.snapshot if export.consistency == "run" else None
        )
        destination = stack.enter_context(_destination(export, context, ledger))
        stack.enter_context(sessions)
        with sessions.acquire() as session:
            job = prepare(
                export, context, ledger, session=session, destination=destination, tuning=tuning
            )
            harm = _harm_of(session) if job.is_chunked else {}
            notes = _notes_of(session, job)
            job = _going_on(job, row, session, context, ledger)
            planned = _planned(job, row, session, context, ledger)
        _note_window(job, context, ledger)
        _note((*notes, ("resume", taken_up.note), ("plan", job.note)), context, ledger)
        ledger.job = job
        note_kernel(job, context, ledger)
        _refuse(job, row, destination, context, ledger)
        begin_run(job, planned, row, context, ledger)
        left = _left(job, planned, row, destination, context, ledger)
        workers = _hold(job, len(left), snapshots, context, ledger)
        splitter = Splitter(job, snapshots, context, len(planned)) if workers > 1 else None
        runner = ChunkRunner(job, snapshots, destination, context, ledger, splitter)
        _read(job, left, Permits(workers), runner, snapshots)
        if context.options.reconcile:
            reconcile(job, snapshots, context, ledger)
        status = finish_run(job, destination, context, ledger)
        if status == "success":
            _prune(export, context, ledger)
        _note_harm(job, harm, snapshots, ledger)
        return status


@contextmanager
def _destination(
    export: ExportConfig, context: RunContext, ledger: RunProgress
) -> Iterator[Destination]:
    """Open the destination, whose files tell of runs that the state should know."""
    destination = open_export_destination(export, context, run_id=ledger.run_id, day=ledger.day)
    try:
        refuse_lost(export, destination, context)
        yield destination
    finally:
        destination.close()


def _note(
    remarks: Sequence[tuple[str, str | None]], context: RunContext, ledger: RunProgress
) -> None:
    for rule, text in remarks:
        if text is not None:
            warn(context, ledger, rule, text)


def _notes_of(session: Session, job: Job) -> tuple[tuple[str, str | None], ...]:
    proxy = session.proxy_note() if isinstance(session, NoticesProxies) else None
    relation = job.plan.relation
    settings = session.settings_note(relation) if isinstance(session, TellsSettings) else None
    return (("proxy", proxy), ("settings", settings), *_no_json(job))


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


def _note_window(job: Job, context: RunContext, ledger: RunProgress) -> None:
    if job.window is None:
        return
    ledger.guarantee = job.window.guarantee
    if not job.window.is_certain:
        warn(context, ledger, "cursor", f"the window is {job.window.guarantee}")
    for remark in job.window.remarks:
        warn(context, ledger, "cursor", remark)
    if job.window.left_out:
        hint = "give those rows a value, or read them with an export of their own"
        not_covered(job.export, context, ledger, "cursor", job.window.left_out, hint)


def _harm_of(session: Session) -> dict[str, int]:
    return session.server_impact() if isinstance(session, ReportsImpact) else {}


def _note_harm(
    job: Job, before: dict[str, int], snapshots: SnapshotHolder, ledger: RunProgress
) -> None:
    """Compare the server's counters with those of before; a server that is gone tells nothing.

    A server counts what a session did when that session ends.
    """
    if not job.is_chunked or not before:
        return
    ledger.snapshot_age_s = snapshots.age_s
    snapshots.sessions.close()
    with suppress(SourceError), snapshots.sessions.dedicated() as session:
        after = _harm_of(session)
        ledger.harm = {name: after[name] - before[name] for name in after if name in before}


def _prune(export: ExportConfig, context: RunContext, ledger: RunProgress) -> None:
    """Remove what `keep_runs` does not keep; that it fails takes nothing from a good run."""
    try:
        prune_after_run(export, context)
    except RivetError as error:
        warn(context, ledger, "prune", f"old runs were not removed: {error.message}")


def _going_on(
    job: Job, row: RunRow | None, session: Session, context: RunContext, ledger: RunProgress
) -> Job:
    """Return the job with its window, once what it goes on from is known to be its own."""
    job = owned(job, session, context, ledger)
    if row is not None:
        refuse_other_source(row, job, session)
    job = replace(job, window=window_of(job.export, job, session, context))
    return less_certain(job, session)


def _planned(
    job: Job, row: RunRow | None, session: Session, context: RunContext, ledger: RunProgress
) -> tuple[Chunk, ...]:
    """Return all chunks of the run; one that is taken up keeps the bounds it began with."""
    if row is not None:
        return known_chunks(row, context)
    if job.window is not None:
        return tuple(chunks(job.window.spans))
    plan = job.plan

    def tell(text: str) -> None:
        warn(context, ledger, "chunks", text)

    return tuple(chunks(cut(plan.shape, plan.relation, plan.facts, session, tell)))


def _refuse(
    job: Job, row: RunRow | None, destination: Destination, context: RunContext, ledger: RunProgress
) -> None:
    if job.is_listable:
        found = refuse_foreign_prefix(destination, job.plan.export_name)
        note_unknown(job.export, found, context, ledger)
    if row is not None:
        refuse_other_plan(row, job)
    if hidden := ", ".join(map(visible, job.plan.facts.hidden)):
        text = f"row-level security applies to this user ({hidden}): rows it hides are not read"
        hint = "read as a user whom no policy restricts, such as one with BYPASSRLS"
        not_covered(job.export, context, ledger, "row-security", text, hint)


def _read(
    job: Job,
    left: Sequence[Chunk],
    permits: Permits,
    runner: ChunkRunner,
    snapshots: SnapshotHolder,
) -> None:
    """Read the chunks, as many at a time as the source bears, and judge their rows together."""
    context, ledger, splitter = runner.context, runner.ledger, runner.splitter
    with ExitStack() as stack:
        if job.is_adaptive and permits.allowed > 1:
            if snapshots.sessions.has_room:
                least = job.least_workers
                stack.enter_context(Governor(permits, least, snapshots.sessions, context, ledger))
            else:
                text = "the load of the source is not watched: `max_connections` leaves no room"
                warn(context, ledger, "governor", text)
        if splitter is None:
            run_chunks(left, permits, runner.run, snapshots)
        else:
            run_chunks(left, permits, runner.run, snapshots, splitter.take)
    if runner.gate is not None and job.is_chunked:
        hint = "the files stay where they are, the manifest still is that of the last good run"
        judge(runner.gate, context, ledger, hint)


def _left(
    job: Job,
    planned: Sequence[Chunk],
    row: RunRow | None,
    destination: Destination,
    context: RunContext,
    ledger: RunProgress,
) -> Sequence[Chunk]:
    """Return the chunks that are not done; the parts of those that are go into the ledger."""
    if row is None:
        return planned
    standing = verified_parts(job, destination, context, ledger)
    ledger.parts.extend(standing)
    ledger.earlier_instants = len({part.instant for part in standing})
    first = min(standing, key=lambda part: part.recorded_at, default=None)
    ledger.position = None if first is None else first.instant
    left = context.state.chunks(job.plan.run_id, is_incomplete=True)
    ledger.chunks_done = len(planned) - len(left)
    text = f"run {row.run_id} goes on: {ledger.chunks_done} of {len(planned)} chunks were done"
    warn(context, ledger, "resume", text)
    return left


def _hold(
    job: Job, chunk_count: int, snapshots: SnapshotHolder, context: RunContext, ledger: RunProgress
) -> int:
    """Bring sessions together, say what may still be of several instants; see `_gather`."""
    workers = _gather(job, chunk_count, snapshots, context, ledger)
    _judge_instant(job, snapshots, context, ledger)
    return workers


def _gather(
    job: Job, chunk_count: int, snapshots: SnapshotHolder, context: RunContext, ledger: RunProgress
) -> int:
    """Bring the sessions of an export of many chunks into one instant, as it asks for.

    Returns:
        How many chunks are read at the same time.

    Raises:
        ReconcileUnverifiedError: They would be of several instants, and one count is asked for.
    """
    plan = job.plan
    if context.options.reconcile:
        refuse_unverifiable(job, chunk_count, ledger)
    if not chunk_count or not (job.is_chunked or chunk_count > 1 or snapshots.is_imported):
        return 1
    workers = min(plan.workers, chunk_count)
    title = load_engine(plan.engine).CAPABILITIES.title
    if workers > 1 and not load_engine(plan.engine).CAPABILITIES.shares_snapshot:
        warn(context, ledger, "parallel", f"{title} is read by one session: `parallel` has no use")
        workers = 1
    sessions = snapshots.sessions
    room = snapshots.gather(workers, dedicated=int(job.is_adaptive))
    if room < workers:
        text = f"there are connections for {room} of {workers} chunks at a time"
        text += f": {sessions.refusal}" if sessions.refusal else ""
        warn(context, ledger, "connections", text)
        workers = room
    if plan.is_apart:
        sessions.spread()
        return workers
    may_renew = plan.shape.survives_new_snapshot
    try:
        snapshots.begin(plan.relation, workers, may_renew=may_renew)
    except SourceQueryError as error:
        if workers == 1:
            raise
        text = f"one chunk at a time instead of {workers}: {error.message}"
        warn(context, ledger, "consistency", text)
        workers = 1
        snapshots.begin(plan.relation, workers, may_renew=may_renew)
    return workers


def _judge_instant(
    job: Job, snapshots: SnapshotHolder, context: RunContext, ledger: RunProgress
) -> None:
    """Say what may be of several instants, where a run says in how many it was read."""
    plan = job.plan
    if plan.is_apart or not (plan.mode is Mode.CHUNKED or snapshots.is_held):
        return
    doubt = snapshots.unproven(plan.relation)
    if doubt is not None:
        ledger.instant_doubt = doubt
        text = f"the rows may be of several instants: {doubt}"
        not_covered(job.export, context, ledger, "instant", text)
