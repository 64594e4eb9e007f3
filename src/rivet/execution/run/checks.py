"""Validation and reconciliation of a run: its own files, and the row count of its source."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rivet.errors import (
    ManifestMismatchError,
    ReconcileMismatchError,
    ReconcileUnverifiedError,
    RivetError,
    SourceError,
    SourceInterruptedError,
)
from rivet.events import Reconciled
from rivet.model.metrics import RunMetrics
from rivet.verify.manifest_check import check_prefix

if TYPE_CHECKING:
    import pyarrow as pa

    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.execution.snapshot.holder import SnapshotHolder
    from rivet.model.manifest_names import ManifestNames
    from rivet.model.span import Span


def validate_published(destination: Destination, export_name: str, names: ManifestNames) -> None:
    """Check an export's manifest, its marker and every part under the prefix.

    Raises:
        ManifestMismatchError: Something there does not agree with the manifest.
    """
    findings = check_prefix(destination, names)
    if findings.failures:
        msg = f"export '{export_name}': validation failed: {'; '.join(findings.failures)}"
        raise ManifestMismatchError(msg, export=export_name)


def refuse_unverifiable(job: Job, chunk_count: int, ledger: RunProgress) -> None:
    """Refuse `--reconcile`, before a row is read, where rows will be of several instants by choice.

    Args:
        job: The export.
        chunk_count: How many chunks are to be read.
        ledger: Knows of the parts of a run that was resumed.

    Raises:
        ReconcileUnverifiedError: One count cannot be compared with them.
    """
    plan = job.plan
    if ledger.earlier_instants:
        why = "the chunks that an earlier run had done are of another instant"
        hint = "run it without --resume, or without --reconcile"
    elif chunk_count > 1 and plan.is_apart:
        why = "with `consistency: chunk` each chunk is read in an instant of its own"
        hint = "set `consistency: export`, or run it without --reconcile"
    else:
        return
    name = plan.export_name
    msg = f"export '{name}': --reconcile could not be verified: {why}; nothing was read"
    raise ReconcileUnverifiedError(msg, hint=hint, export=name)


def reconcile(
    job: Job, snapshots: SnapshotHolder, context: RunContext, ledger: RunProgress
) -> None:
    """Count what was to be read, in the instant that was read, and compare with the parts.

    That is the relation, or the window of a run that takes one. Comes before anything is published.
    The count scans once; its time counts as a statement of the run.

    Raises:
        ReconcileMismatchError: The source holds another number of rows.
        ReconcileUnverifiedError: The source cannot be counted.
        SourceError: The count was cut or the instant is lost, with the code of the former and
            worth another run.
    """
    plan = job.plan
    begun = time.monotonic()
    try:
        in_source = _count(job, snapshots, ledger)
    except SourceError as error:
        raise _unverified(job, error) from error
    ledger.add(RunMetrics(longest_statement_s=time.monotonic() - begun))
    exported = ledger.rows
    is_match = exported == in_source
    if not is_match:
        _refuse_unheld(job, snapshots, exported, in_source)
    ledger.add(RunMetrics(reconciled=(exported, in_source)))
    context.emit(Reconciled(plan.export_name, plan.run_id, exported, in_source, is_match))
    if not is_match:
        msg = (
            f"export '{plan.export_name}': exported {exported:,} rows, the source holds "
            f"{in_source:,} in the same instant; {_nothing_published(job)}"
        )
        hint = (
            "a query or view that gives other rows each time, as with random(), cannot be "
            "reconciled; otherwise please report this as a bug"
        )
        raise ReconcileMismatchError(msg, hint=hint, export=plan.export_name)


def _count(job: Job, snapshots: SnapshotHolder, ledger: RunProgress) -> int:
    """Count the relation, or the window, in the instant that was read.

    Raises:
        SourceInterruptedError: That instant is lost.
        SourceError: The source cannot be counted.
    """
    spans: tuple[tuple[Span, ...], ...] = ((),)
    if job.window is not None:
        spans = tuple((span,) for span in job.window.spans)
    if not spans:
        return 0  # a window that ends where it begins
    with snapshots.sessions.acquire() as session:
        if ledger.read_in != {snapshots.begun} or not session.has_snapshot:
            msg = "the session that read the rows is gone, and with it the instant it read"
            raise SourceInterruptedError(msg)
        return sum(session.count(job.plan.relation, one) for one in spans)


def _refuse_unheld(job: Job, snapshots: SnapshotHolder, exported: int, in_source: int) -> None:
    """Say of what no instant holds that it cannot be verified, not that rows are lost.

    Raises:
        ReconcileUnverifiedError: The relation is read from such tables.
        SourceError: The source cannot be asked.
    """
    plan = job.plan
    why = snapshots.unproven(plan.relation)
    if why is not None:
        msg = (
            f"export '{plan.export_name}': could not be verified: exported {exported:,} rows, "
            f"counted {in_source:,}, and {why}; {_nothing_published(job)}"
        )
        hint = "run it again while nobody writes to the table, or without --reconcile"
        raise ReconcileUnverifiedError(msg, hint=hint, export=plan.export_name)


def _unverified(job: Job, cause: SourceError) -> RivetError:
    kind = type(cause) if cause.retryable else ReconcileUnverifiedError
    name, code = job.plan.export_name, ReconcileUnverifiedError.code
    msg = f"export '{name}': could not be verified: {cause.message}; {_nothing_published(job)}"
    hint = "run it again" if cause.retryable else cause.hint or "run it without --reconcile"
    return kind(msg, hint=hint, code=code, export=name)


def _nothing_published(job: Job) -> str:
    return "nothing was published" if job.is_listable else "its rows were written already"


def schema_pairs(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """Return (column, Arrow type) pairs, as the state keeps them for the drift check."""
    return tuple((field.name, str(field.type)) for field in schema)
