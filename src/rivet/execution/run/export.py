"""The coordinator: one run of one export, whatever its mode, engine, format and destination."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rivet.config.resolve import resolve_tuning
from rivet.errors import RivetError
from rivet.execution.pool.governor import Governor, Permits
from rivet.execution.pool.splitting import Splitter
from rivet.execution.pool.threads import run_chunks
from rivet.execution.run.begin import begin_run
from rivet.execution.run.checks import reconcile
from rivet.execution.run.continuity import refuse_lost
from rivet.execution.run.destined import destined_for
from rivet.execution.run.dispatch import dispatch_to_workers
from rivet.execution.run.finish import finish_dead, finish_run
from rivet.execution.run.overlap import export_held
from rivet.execution.run.planning import note_plan, plan_run, refuse_plan
from rivet.execution.run.preflight import refuse_unready
from rivet.execution.run.prepare import open_export_destination, prepare
from rivet.execution.run.prune import prune_after_run
from rivet.execution.run.recovery import recover_untold
from rivet.execution.run.resume import decide_resume, run_state
from rivet.execution.run.server_impact import note_server_impact
from rivet.execution.run.workers import gather_workers
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import open_sessions
from rivet.execution.warning import warn
from rivet.model.metrics import RunMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rivet.config.models import ExportConfig
    from rivet.config.resolve import ResolvedTuning
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.execution.run.dispatch import ChunkDispatcher
    from rivet.model.chunk import Chunk


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
        RivetError: The run failed; parts that are not recorded are not data, and the watermark is
            as it was. So are the manifest and `_SUCCESS`, unless it failed while it published:
            the next run brings that to its end.
    """
    refuse_unready(context.config, export, context.env)
    tuning = resolve_tuning(context.config, export)
    with ExitStack() as stack:
        stack.enter_context(export_held(export, context))
        if not context.is_state_checked:
            context.state.check_writable()
        finish_dead(export, context, ledger)
        recover_untold(export, context, ledger)
        decision = decide_resume(export, context, ledger.started_at)
        if decision.complete is not None:
            ledger.destination_uri = decision.complete.record.destination_uri
            ledger.skip_reason = f"nothing to resume: run {decision.complete.run_id} is complete"
            return "skipped"
        ledger.begin_as(decision)
        ledger.destination_uri = destined_for(
            export, context.config.base_dir, run_id=ledger.run_id, day=ledger.day
        )
        snapshots = _snapshots(export, tuning, context, ledger)
        destination = stack.enter_context(_destination(export, context, ledger))
        stack.enter_context(snapshots.sessions)
        with snapshots.sessions.acquire() as session:
            job = prepare(
                export, context, ledger, session=session, destination=destination, tuning=tuning
            )
            planned = plan_run(job, decision, session, context, ledger)
        job = planned.job
        note_plan(planned, context, ledger)
        refuse_plan(job, decision.row, destination, context, ledger)
        begin_run(job, planned.chunks, decision.row, context, ledger)
        state = run_state(job, planned.chunks, decision, destination, context, ledger)
        ledger.go_on_from(state)
        workers = gather_workers(job, len(state.pending), snapshots, context, ledger)
        splitter = Splitter(job, snapshots, context, len(state.chunks)) if workers > 1 else None
        dispatcher = dispatch_to_workers(job, snapshots, destination, context, ledger, splitter)
        _read(job, state.pending, Permits(workers), dispatcher, snapshots)
        if context.options.reconcile:
            reconcile(job, snapshots, context, ledger)
        status = finish_run(job, destination, context, ledger)
        if status == "success":
            _prune(export, context, ledger)
        note_server_impact(planned.impact_before, snapshots, ledger)
        return status


def _snapshots(
    export: ExportConfig, tuning: ResolvedTuning, context: RunContext, ledger: RunProgress
) -> SnapshotHolder:
    sessions = open_sessions(
        context.config,
        tuning,
        context.env,
        context.stop,
        on_wait=lambda text: warn(context, ledger, "waiting", text),
        max_connections=context.max_connections,
    )
    return SnapshotHolder(sessions, context.snapshot if export.consistency == "run" else None)


@contextmanager
def _destination(
    export: ExportConfig, context: RunContext, ledger: RunProgress
) -> Iterator[Destination]:
    """Open the destination, whose files tell of runs that the state should know."""
    destination = open_export_destination(export, context, run_id=ledger.run_id, day=ledger.day)
    try:
        refuse_lost(export, destination, context)
        for remark in destination.remarks:
            warn(context, ledger, "destination", remark)
        yield destination
    finally:
        ledger.add(RunMetrics(dest_retries=destination.retries))
        destination.close()


def _read(
    job: Job,
    pending: Sequence[Chunk],
    permits: Permits,
    dispatcher: ChunkDispatcher,
    snapshots: SnapshotHolder,
) -> None:
    """Have the chunks read, as many at a time as the source bears; judge their rows together."""
    context, ledger, splitter = dispatcher.context, dispatcher.ledger, dispatcher.splitter
    with ExitStack() as stack:
        if job.is_adaptive and permits.allowed > 1:
            if snapshots.sessions.has_room:
                least = job.least_workers
                stack.enter_context(Governor(permits, least, snapshots.sessions, context, ledger))
            else:
                text = "the load of the source is not watched: `max_connections` leaves no room"
                warn(context, ledger, "governor", text)
        more = {} if splitter is None else {"more": splitter.steal}
        cancel = dispatcher.workers.cancel_all
        run_chunks(pending, permits, dispatcher.run, snapshots, cancel=cancel, **more)
    if job.is_chunked:
        dispatcher.judge(
            "the files stay where they are, the manifest still is that of the last good run"
        )


def _prune(export: ExportConfig, context: RunContext, ledger: RunProgress) -> None:
    """Remove what `keep_runs` does not keep; that it fails takes nothing from a good run."""
    try:
        prune_after_run(export, context)
    except RivetError as error:
        warn(context, ledger, "prune", f"old runs were not removed: {error.message}")
