"""The finish of a run: publish what was recorded, then verdict, watermark and schema at once.

A run that has published but not finished is finished by whoever comes next (docs/adr/0036).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rivet.errors import InternalError, RivetError
from rivet.events import RunRecorded
from rivet.execution.progress import outcome_of
from rivet.execution.publish.base import Publication
from rivet.execution.publish.manifest import ManifestPublisher
from rivet.execution.run.checks import schema_pairs, validate_published
from rivet.execution.run.continuity import progress_of
from rivet.execution.run.ownership import follows
from rivet.execution.run.prefix import place_of
from rivet.execution.run.prepare import day_of_run, open_export_destination
from rivet.execution.run.recorded_names import refuse_foreign_parts
from rivet.execution.run.resume import QUARANTINE
from rivet.execution.warning import warn
from rivet.model.arrow import schema_fingerprint
from rivet.model.finish import Finish
from rivet.model.metrics import RunMetrics
from rivet.model.report import NO_ROWS, NOTHING_NEW
from rivet.model.run import RunStatus

if TYPE_CHECKING:
    from rivet.config.models import ExportConfig
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.execution.run.prefix import Place
    from rivet.model.finish import Receipt
    from rivet.model.part import RecordedPart


def _is_nothing_new(job: Job, place: Place | None) -> bool:
    """Whether an export that goes on from its last run found nothing: what is there stays."""
    is_going_on = job.window is not None and job.window.guarantee is not None
    return is_going_on and place is not None and place.manifest is not None


def finish_run(job: Job, destination: Destination, context: RunContext, ledger: RunProgress) -> str:
    """Publish what a run has recorded, then put its good end on record in one transaction.

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
    for column, count in ledger.counted.nulled:
        warn(context, ledger, "nulled", f"column '{column}': {count:,} values became NULL")
    for remark in sorted(ledger.remarks):
        warn(context, ledger, "server", remark)
    # Asked again: another export may have come to the prefix while the rows were read.
    place = place_of(job.export, context.config, destination) if job.is_listable else None
    if not parts and (plan.output.skip_empty or _is_nothing_new(job, place)):
        ledger.skip_reason = NO_ROWS if plan.output.skip_empty else NOTHING_NEW
        return _finish("skipped", job, (), context, ledger)
    receipts: tuple[Receipt, ...] = ()
    if place is not None:
        reconciled = ledger.counted.reconciled
        publication = Publication(
            plan,
            finished_at=context.clock(),
            schema_fingerprint=schema_fingerprint(job.enricher.schema),
            position=ledger.position,
            window=job.window,
            not_covered=tuple(ledger.not_covered),
            source_row_count=reconciled[1] if reconciled else None,
            progress=progress_of(job, parts),
        )
        state.intend(plan.run_id, _finish_of("success", job, context, ledger))
        publisher = ManifestPublisher(destination, context.emit, place.names)
        receipts = (publisher.publish(publication, parts),)
        if context.options.validate:
            validate_published(destination, plan.export_name, place.names)
    if context.options.validate:
        ledger.add(RunMetrics(is_validated=True))
    return _finish("success", job, receipts, context, ledger)


def _finish(
    status: str,
    job: Job,
    receipts: tuple[Receipt, ...],
    context: RunContext,
    ledger: RunProgress,
) -> str:
    """Put the good end of a run on record; what fails after this takes nothing from it."""
    context.state.finish(job.plan.run_id, _finish_of(status, job, context, ledger), receipts)
    ledger.finished_as = status
    context.emit(RunRecorded(job.plan.export_name, job.plan.run_id, status))
    return status


def _finish_of(status: str, job: Job, context: RunContext, ledger: RunProgress) -> Finish:
    now = context.clock()
    report = ledger.report(status, finished_at=now, peak_rss_mb=ledger.peak_mb())
    outcome = outcome_of(report, now)
    adopts = follows(job.export) and not context.options.fresh
    if status == "skipped":
        return Finish(outcome, owner=job.owner, adopts=adopts)
    position = job.window.position if job.window is not None and ledger.parts else None
    columns = schema_pairs(job.schema)
    return Finish(outcome, position, job.owner, adopts=adopts, columns=columns)


def recorded_end(context: RunContext, ledger: RunProgress) -> str | None:
    """Return the good end of a run, where it is on record: the answer to its commit may be lost.

    A signal can come between the commit and the line that notes it, and a connection can end there.
    """
    if ledger.finished_as is None and ledger.is_begun:
        with suppress(RivetError):  # what cannot be read is not known to be good
            row = context.state.run(ledger.run_id)
            if row is not None and row.status in {RunStatus.SUCCESS, RunStatus.SKIPPED}:
                ledger.finished_as = row.status.value
    return ledger.finished_as


def finish_dead(export: ExportConfig, context: RunContext, ledger: RunProgress) -> None:
    """Finish the newest run of an export where it died after readers could see it.

    The caller holds the export's lock. A run that died before leaves nothing to readers, and one
    whose files are not whole any more is none to rely on: its manifest is set aside. Such runs are
    superseded as others are.

    Raises:
        DestinationError: The destination cannot be looked at; nothing is assumed of it.
        StateError: The state cannot be read or written.
    """
    found = context.state.unfinished(export.name)
    if found is None:
        return
    row, finish = found
    destination = open_export_destination(export, context, run_id=row.run_id, day=day_of_run(row))
    try:
        if destination.uri != row.record.destination_uri:
            return
        parts = context.state.parts(row.run_id)
        refuse_foreign_parts(row, parts)
        place = place_of(export, context.config, destination)
        is_whole = not any(_is_broken(part, destination) for part in parts)
        publisher = ManifestPublisher(destination, context.emit, place.names)
        receipt = publisher.complete(row.run_id, export.name, parts) if is_whole else None
        aside = f"{QUARANTINE}/{row.run_id}"
        is_withdrawn = receipt is None and publisher.withdraw(row.run_id, aside)
    finally:
        destination.close()
    if receipt is not None:
        context.state.finish_dead(row, finish, (receipt,))
        text = f"run {row.run_id} had died after its files were published; it is finished now"
        warn(context, ledger, "finish", text)
    elif is_withdrawn:
        text = f"run {row.run_id} had died, and its files are not as it left them: its manifest"
        warn(context, ledger, "finish", f"{text} was set aside, and its rows are read again")


def _is_broken(part: RecordedPart, destination: Destination) -> bool:
    found = destination.stat(part.name)
    return found is None or found.size_bytes != part.stats.size_bytes
