"""Degree of parallelism of one export: how many chunks at a time, in which snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import SourceQueryError
from rivet.execution.run.checks import refuse_unverifiable
from rivet.execution.warning import not_covered, warn
from rivet.model.plan import Mode
from rivet.sources import load_engine

if TYPE_CHECKING:
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.execution.snapshot.holder import SnapshotHolder


def gather_workers(
    job: Job, chunk_count: int, snapshots: SnapshotHolder, context: RunContext, ledger: RunProgress
) -> int:
    """Bring the sessions of an export into one instant, as it asks for, and say what is in doubt.

    Args:
        job: The export.
        chunk_count: How many chunks are to be read.
        snapshots: Whose sessions read.
        context: What the exports of this invocation share.
        ledger: The run.

    Returns:
        How many chunks are read at the same time.

    Raises:
        ReconcileUnverifiedError: They would be of several instants, and one count is asked for.
        RefusedError: The export is strict, and one instant is not proven.
        SourceError: The source cannot be asked, or has not a single session.
    """
    if context.options.reconcile:
        refuse_unverifiable(job, chunk_count, ledger)
    workers = 1
    if chunk_count and (job.is_chunked or chunk_count > 1 or snapshots.is_imported):
        workers = _gather(
            job, _wanted(job, chunk_count, context, ledger), snapshots, context, ledger
        )
    _judge_instant(job, snapshots, context, ledger)
    return workers


def _wanted(job: Job, chunk_count: int, context: RunContext, ledger: RunProgress) -> int:
    """Return how many chunks at a time the export and its engine want."""
    capabilities = load_engine(job.plan.engine).CAPABILITIES
    workers = min(job.plan.workers, chunk_count)
    if workers > 1 and not capabilities.shares_snapshot:
        text = f"{capabilities.title} is read by one session: `parallel` has no use"
        warn(context, ledger, "parallel", text)
        return 1
    return workers


def _gather(
    job: Job, workers: int, snapshots: SnapshotHolder, context: RunContext, ledger: RunProgress
) -> int:
    plan, sessions = job.plan, snapshots.sessions
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
