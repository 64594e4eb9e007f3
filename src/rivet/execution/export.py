"""THE loop: one run of one export, whatever its mode, engine, format and destination."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final

from rivet.config.resolve import resolve_tuning
from rivet.errors import InternalError, QualityGateError, SchemaDriftError
from rivet.events import (
    ChunkStarted,
    ExportStarted,
    PlanResolved,
    Progress,
    ProgressInit,
    RetryAttempted,
    SchemaChanged,
    Warned,
)
from rivet.execution.commit import (
    Publication,
    failure_noted,
    publish,
    record,
    refuse_foreign_prefix,
    store,
    stored_event,
)
from rivet.execution.parts import Flow, PartWriter
from rivet.execution.prepare import open_export_destination, prepare
from rivet.execution.retry import attempts
from rivet.execution.sessions import open_sessions
from rivet.execution.verdict import (
    reconcile,
    schema_pairs,
    validate_parts,
    validate_published,
)
from rivet.model.arrow import schema_fingerprint
from rivet.model.plan import DriftPolicy
from rivet.model.run import RunRecord
from rivet.model.version import __version__
from rivet.plan.build import schema_difference
from rivet.plan.strategies import chunks
from rivet.redact import redact
from rivet.sources import load_engine
from rivet.sources.base import NoticesProxies
from rivet.state.locks import export_lock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rivet.config.models import ExportConfig
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.ledger import Ledger
    from rivet.execution.quality import QualityGate
    from rivet.execution.sessions import Sessions
    from rivet.model.chunk import Chunk, Claim
    from rivet.model.part import LocalPart, StoredPart
    from rivet.sources.base import Session

_PROGRESS_INTERVAL_S: Final = 0.12
_INTERPRETED_ROWS: Final = 1_000_000


def run_export(export: ExportConfig, context: RunContext, ledger: Ledger) -> str:
    """Run one export to its end.

    Args:
        export: The export's configuration.
        context: What the exports of this invocation share.
        ledger: Filled as the run goes on, also when it fails.

    Returns:
        `success`, or `skipped` for an export without rows that asked for it.

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
        pool = open_sessions(context.config, tuning, context.env, context.stop)
        destination = open_export_destination(
            export, context, run_id=ledger.run_id, started_at=ledger.started_at
        )
        stack.callback(destination.close)
        sessions = stack.enter_context(pool)
        with sessions.open() as session:
            job = prepare(
                export,
                context,
                ledger,
                session=session,
                destination=destination,
                tuning=tuning,
            )
            note = session.proxy_note() if isinstance(session, NoticesProxies) else None
        if note is not None:
            _warn(context, ledger, "proxy", note)
        ledger.job = job
        _note_kernel(job, context, ledger)
        if job.is_listable:
            refuse_foreign_prefix(destination, export.name)
        _begin(job, context, ledger)
        for chunk in chunks(job.plan):
            _run_chunk(chunk, job, sessions, destination, context, ledger)
        if context.options.reconcile:
            reconcile(job, sessions, context, ledger)
        return _finish(job, destination, context, ledger)


def _begin(job: Job, context: RunContext, ledger: Ledger) -> None:
    plan, state, emit = job.plan, context.state, context.emit
    _check_drift(job, context, ledger)
    planned = list(chunks(plan))
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
            host=socket.gethostname(),
            pid=os.getpid(),
            plan_json=_plan_json(job),
        ),
        planned,
    )
    ledger.is_begun = True
    for run_id in superseded:
        _warn(context, ledger, "superseded", f"run {run_id} had died; this run takes its place")
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
    if len(planned) > 1:
        emit(ProgressInit(export_name=plan.export_name, total_chunks=len(planned)))


def _plan_json(job: Job) -> str:
    """Return what a manifest says that parts do not carry, so that it can be made again."""
    relation = job.plan.relation
    return json.dumps(
        {
            "schema": relation.schema,
            "table": relation.table,
            "schema_fingerprint": schema_fingerprint(job.enricher.schema),
            "row_hash": job.plan.output.row_hash,
        }
    )


def _note_kernel(job: Job, context: RunContext, ledger: Ledger) -> None:
    if not load_engine(job.plan.engine).CAPABILITIES.has_kernel:
        return
    from rivet.wire.kernel import kernel_kind

    ledger.kernel = kernel_kind()
    estimate = job.plan.facts.estimated_rows or 0
    if ledger.kernel == "interpreted" and estimate > _INTERPRETED_ROWS:
        _warn(
            context,
            ledger,
            "kernel",
            f"the kernel runs interpreted and the table has about {estimate:,} rows: "
            "this will be slow; install with a C compiler to compile it",
        )


def _check_drift(job: Job, context: RunContext, ledger: Ledger) -> None:
    plan = job.plan
    before = context.state.schema_of(plan.export_name)
    if before is None:
        return
    added, removed, changed = schema_difference(before, schema_pairs(job.schema))
    ledger.schema_changed = bool(added or removed or changed)
    if not ledger.schema_changed:
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
        _warn(context, ledger, "schema-drift", sentence)


def _run_chunk(
    chunk: Chunk,
    job: Job,
    sessions: Sessions,
    destination: Destination,
    context: RunContext,
    ledger: Ledger,
) -> None:
    plan = job.plan
    durable: list[StoredPart] = []

    def on_retry(attempt: int, wait_s: float, error: Exception) -> None:
        ledger.retries += 1
        context.emit(
            RetryAttempted(
                export_name=plan.export_name,
                run_id=plan.run_id,
                chunk_index=chunk.index,
                attempt=attempt,
                wait_s=wait_s,
                reason=redact(str(error)),
            )
        )

    sleep = context.stop.sleep if context.stop else time.sleep
    for attempt in attempts(
        job.retry, may_retry=lambda: not durable, on_retry=on_retry, sleep=sleep
    ):
        with attempt, sessions.open() as session:
            claim = context.state.claim(plan.run_id, plan.export_name, chunk)
            context.emit(ChunkStarted(plan.export_name, plan.run_id, chunk.index, claim.number))
            with failure_noted(claim, context.state):
                # Closed before the session is: its reader may be in the middle of a statement.
                with closing(_read_parts(claim, job, session, destination, context, ledger)) as new:
                    for part in new:
                        durable.append(store(part, destination))
                        context.emit(stored_event(durable[-1], claim))
                ledger.parts.extend(record(claim, tuple(durable), context.state, context.emit))
            ledger.read_in.add(sessions.opened)
            ledger.chunks_done += 1


def _read_parts(
    claim: Claim,
    job: Job,
    session: Session,
    destination: Destination,
    context: RunContext,
    ledger: Ledger,
) -> Generator[LocalPart]:
    plan, gate = job.plan, job.gate()
    writer = PartWriter(
        claim,
        file_format=job.file_format,
        output=plan.output,
        enricher=job.enricher,
        gate=gate,
        staging=destination.staging_dir(),
    )
    # Asked before the snapshot: whoever follows the log from there misses nothing.
    ledger.position = session.position()
    stream = session.read(job.request(holds_snapshot=context.options.reconcile))
    last = 0.0

    def on_batch(flow: Flow) -> None:
        nonlocal last
        if context.stop is not None:
            context.stop.check()
        now = time.monotonic()
        if now - last < _PROGRESS_INTERVAL_S:
            return
        last = now
        context.emit(
            Progress(
                export_name=plan.export_name,
                chunks_done=ledger.chunks_done,
                rows=ledger.rows + flow.rows,
                bytes_read=ledger.bytes_read + stream.counters.wire_bytes,
                bytes_written=ledger.bytes_written + flow.bytes_written,
            )
        )

    parts: Iterator[LocalPart] = writer.write(stream, plan.tuning, on_batch)
    if context.options.validate:
        parts = validate_parts(parts, plan.output.format)
    if gate is None:
        yield from parts
    else:
        held = list(parts)  # nothing may be published before the gate's verdict
        _judge(gate, context, ledger)
        yield from held
    ledger.take_counters(stream.counters)


def _judge(gate: QualityGate, context: RunContext, ledger: Ledger) -> None:
    problems, remarks = gate.verdict()
    ledger.quality_passed = not problems
    for remark in remarks:
        _warn(context, ledger, "quality", remark)
    if problems:
        msg = (
            f"export '{ledger.export_name}': {len(problems)} quality check(s) failed: "
            f"{'; '.join(problems)}"
        )
        raise QualityGateError(msg, hint="nothing was published; the last good files are untouched")


def _finish(job: Job, destination: Destination, context: RunContext, ledger: Ledger) -> str:
    plan, state = job.plan, context.state
    parts = tuple(ledger.parts)
    left = state.incomplete_chunks(plan.run_id)
    if left:
        msg = f"export '{plan.export_name}': {left} chunks are not complete at the end of the run"
        raise InternalError(msg, export=plan.export_name)
    for column, count in sorted(ledger.nulled.items()):
        _warn(context, ledger, "nulled", f"column '{column}': {count:,} values became NULL")
    if not parts and plan.output.skip_empty:
        ledger.skip_reason = "no rows"
        return "skipped"
    if job.is_listable:
        publication = Publication(
            started_at=plan.started_at,
            finished_at=context.clock(),
            schema_fingerprint=schema_fingerprint(job.enricher.schema),
            position=ledger.position,
        )
        state.check_running(plan.run_id)
        publish(plan, parts, publication, destination, context.emit)
        state.manifest_written(plan.run_id)
        if context.options.validate:
            validate_published(destination, plan.export_name)
    if context.options.validate:
        ledger.is_validated = True
    state.save_schema(plan.export_name, schema_pairs(job.schema))
    return "success"


def _warn(context: RunContext, ledger: Ledger, rule: str, message: str) -> None:
    ledger.warnings.append(message)
    context.emit(Warned(ledger.export_name, rule=rule, message=message))
