"""Finish of a run: manifest, `_SUCCESS`, watermark and schema, from what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import InternalError
from rivet.execution.run.checks import schema_pairs, validate_published
from rivet.execution.run.commit import Publication, publish
from rivet.execution.run.continuity import progress_of
from rivet.execution.run.ownership import keep_owner
from rivet.execution.warning import warn
from rivet.manifest import MANIFEST_NAME
from rivet.model.arrow import schema_fingerprint

if TYPE_CHECKING:
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress


def _is_nothing_new(job: Job, destination: Destination) -> bool:
    """Whether an export that goes on from its last run found nothing: what is there stays."""
    is_going_on = job.window is not None and job.window.guarantee is not None
    return is_going_on and job.is_listable and destination.stat(MANIFEST_NAME) is not None


def finish_run(job: Job, destination: Destination, context: RunContext, ledger: RunProgress) -> str:
    """Publish what a run has recorded, and move its watermark.

    Returns:
        `success`, or `skipped` for an export without rows that asked for it.

    Raises:
        RivetError: The manifest could not be published, or the state not be written.
    """
    plan, state = job.plan, context.state
    parts = tuple(ledger.parts)
    left = state.incomplete_chunks(plan.run_id)
    if left:
        msg = f"export '{plan.export_name}': {left} chunks are not complete at the end of the run"
        raise InternalError(msg, export=plan.export_name)
    for column, count in sorted(ledger.nulled.items()):
        warn(context, ledger, "nulled", f"column '{column}': {count:,} values became NULL")
    for remark in sorted(ledger.remarks):
        warn(context, ledger, "server", remark)
    if not parts and (plan.output.skip_empty or _is_nothing_new(job, destination)):
        ledger.skip_reason = "no rows" if plan.output.skip_empty else "no new rows"
        keep_owner(job, context)
        return "skipped"
    if job.is_listable:
        publication = Publication(
            started_at=plan.started_at,
            finished_at=context.clock(),
            schema_fingerprint=schema_fingerprint(job.enricher.schema),
            position=ledger.position,
            window=job.window,
            not_covered=tuple(ledger.not_covered),
            source_row_count=ledger.reconciled[1] if ledger.reconciled else None,
            progress=progress_of(job, parts),
        )
        state.check_running(plan.run_id)
        publish(plan, parts, publication, destination, context.emit)
        state.manifest_written(plan.run_id)
        if context.options.validate:
            validate_published(destination, plan.export_name)
    if context.options.validate:
        ledger.is_validated = True
    keep_owner(job, context)
    position = job.window.position if job.window is not None else None
    if position is not None and parts:
        state.set_watermark(plan.export_name, position, parts[-1], job.owner)
    state.save_schema(plan.export_name, schema_pairs(job.schema))
    return "success"
