"""Begin of a run: its record in the state, its first events, and schema drift, before any row."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Final

from rivet.errors import SchemaDriftError
from rivet.events import ExportStarted, PlanResolved, ProgressInit, SchemaChanged
from rivet.execution.run.checks import schema_pairs
from rivet.execution.warning import warn
from rivet.model.arrow import schema_fingerprint
from rivet.model.metrics import RunMetrics
from rivet.model.plan import DriftPolicy
from rivet.model.run import RunRecord
from rivet.model.version import __version__
from rivet.plan.build import refuse_many_in_a_stream, schema_difference
from rivet.sources import load_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.model.chunk import Chunk
    from rivet.model.run import RunRow

_INTERPRETED_ROWS: Final = 1_000_000


def begin_run(
    job: Job,
    chunks: Sequence[Chunk],
    resumed: RunRow | None,
    context: RunContext,
    ledger: RunProgress,
) -> None:
    """Record that a run begins, or goes on, and tell of it.

    Raises:
        UnsupportedPlanError: They are several, and the destination is one stream.
        SchemaDriftError: The columns changed and the export does not allow it.
        RefusedError: The run that should go on was superseded.
    """
    plan, state, emit = job.plan, context.state, context.emit
    refuse_many_in_a_stream(plan.export_name, len(chunks), is_listable=job.is_listable)
    check_drift(job, context, ledger)
    host, pid = socket.gethostname(), os.getpid()
    if resumed is not None:
        state.resume_run(resumed.run_id, host=host, pid=pid)
        superseded: tuple[str, ...] = ()
    else:
        superseded = state.begin_run(
            RunRecord(
                run_id=plan.run_id,
                export_name=plan.export_name,
                started_at=plan.started_at,
                mode=str(plan.mode),
                engine=plan.engine,
                fingerprint=plan.fingerprint,
                destination_type=plan.destination_type,
                destination_uri=plan.destination_uri,
                format=plan.output.format,
                compression=str(plan.output.writer.compression),
                tuning_profile=plan.tuning.profile,
                batch_size=plan.tuning.batch_rows,
                rivet_version=__version__,
                host=host,
                pid=pid,
                plan_json=_plan_json(job, ledger),
            ),
            chunks,
        )
    ledger.is_begun = True
    for run_id in superseded:
        warn(context, ledger, "superseded", f"run {run_id} had died; this run takes its place")
    emit(
        ExportStarted(
            export_name=plan.export_name,
            run_id=plan.run_id,
            mode=str(plan.mode),
            tuning_profile=plan.tuning.profile,
            batch_size=plan.tuning.batch_rows,
            estimated_rows=plan.facts.estimated_rows,
        )
    )
    emit(
        PlanResolved(
            export_name=plan.export_name,
            run_id=plan.run_id,
            relation=plan.relation.label,
            mode=str(plan.mode),
            format=plan.output.format,
            compression=str(plan.output.writer.compression),
            destination_type=plan.destination_type,
            columns=len(plan.columns),
            fingerprint=plan.fingerprint,
        )
    )
    if len(chunks) > 1:
        emit(ProgressInit(export_name=plan.export_name, total_chunks=len(chunks)))


def _plan_json(job: Job, ledger: RunProgress) -> str:
    """Return what a manifest says that parts do not carry, so that it can be made again."""
    plan, window = job.plan, job.window
    return json.dumps(
        {
            "schema": plan.relation.schema,
            "table": plan.relation.table,
            "schema_fingerprint": schema_fingerprint(job.enricher.schema),
            "row_hash": plan.output.row_hash,
            "is_lasting": job.survives_new_snapshot,
            "owner": None if job.owner is None else job.owner.to_json(),
            "day": ledger.day,
            "moves_on": window is not None and window.position is not None,
            "follows": None if window is None else window.follows,
            "reads_again": window is not None and window.overlap is not None,
        }
    )


def note_kernel(job: Job, context: RunContext, ledger: RunProgress) -> None:
    """Tell which kernel reads, and warn of a slow one before a large table."""
    if not load_engine(job.plan.engine).CAPABILITIES.has_kernel:
        return
    from rivet.wire.kernel import kernel_kind

    ledger.kernel = kernel_kind()
    estimate = job.plan.facts.estimated_rows or 0
    if ledger.kernel == "interpreted" and estimate > _INTERPRETED_ROWS:
        warn(
            context,
            ledger,
            "kernel",
            f"the kernel runs interpreted and the table has about {estimate:,} rows: "
            "this will be slow; install with a C compiler to compile it",
        )


def check_drift(job: Job, context: RunContext, ledger: RunProgress) -> None:
    """Compare the columns with those of the last run, as the export says.

    Raises:
        SchemaDriftError: They changed and the policy is `fail`.
    """
    plan = job.plan
    before = context.state.schema_of(plan.export_name)
    if before is None:
        return
    added, removed, changed = schema_difference(before, schema_pairs(job.schema))
    is_changed = bool(added or removed or changed)
    ledger.add(RunMetrics(schema_changed=is_changed))
    if not is_changed:
        return
    event = SchemaChanged(plan.export_name, added=added, removed=removed, changed=changed)
    context.emit(event)
    what = "; ".join(
        f"{verb}: {', '.join(names)}"
        for verb, names in (("added", added), ("removed", removed), ("type changed", changed))
        if names
    )
    sentence = f"the columns changed since the last run ({what})"
    if plan.on_schema_drift is DriftPolicy.FAIL:
        msg = f"export '{plan.export_name}': {sentence}"
        hint = "accept the change with `on_schema_drift: warn`, or restore the columns"
        raise SchemaDriftError(msg, hint=hint, export=plan.export_name)
    if plan.on_schema_drift is DriftPolicy.WARN:
        warn(context, ledger, "schema-drift", sentence)
