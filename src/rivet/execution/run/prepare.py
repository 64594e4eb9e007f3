"""Preparation of one export: everything that can fail before a row is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from rivet.config.destination_rules import foreign_keys
from rivet.config.resolve import (
    chunk_rules,
    column_rules,
    output_plan,
    quality_rules,
)
from rivet.destinations import load_destination, open_destination, sink_ref
from rivet.errors import SourceAuthError
from rivet.execution.job import Job
from rivet.execution.run.estimates import shape_of
from rivet.execution.run.unstable_queries import undoubted
from rivet.execution.selection import relation_of
from rivet.execution.worker.retry import RetryPolicy
from rivet.formats import load_format
from rivet.model.plan import (
    READ_AHEAD_BYTES,
    Consistency,
    DriftPolicy,
    ExportPlan,
    Mode,
    ReadTuning,
)
from rivet.model.shape import WHOLE_SHAPE, Shape
from rivet.plan.build import (
    plan_fingerprint,
    refuse_impossible,
)
from rivet.redact import visible
from rivet.sources import canonical_engine

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from rivet.config.models import ExportConfig
    from rivet.config.resolve import ResolvedTuning
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.progress import RunProgress
    from rivet.model.columns import Column
    from rivet.model.output import OutputPlan
    from rivet.model.relation import Relation, TableFacts
    from rivet.model.run import RunRow
    from rivet.model.sink import SinkRef
    from rivet.sources.base import Session

_MEBIBYTE: Final = 1024 * 1024
# An export's share of a memory budget holds this many batches: libraries, what is being decoded,
# a row group and what is being encoded. The default share gives the default batch.
_BATCHES_IN_SHARE: Final = 32


def day_of(context: RunContext, started_at: datetime) -> str:
    """Return the day of `{date}`: one for the whole invocation, also for exports after midnight."""
    return f"{context.run_started_at or started_at:%Y-%m-%d}"


def day_of_run(row: RunRow) -> str:
    """Return the day that a run on record had; one of an earlier version tells when it began."""
    told = json.loads(row.record.plan_json).get("day")
    return told if isinstance(told, str) else f"{row.record.started_at:%Y-%m-%d}"


def export_sink(export: ExportConfig, base_dir: Path, *, run_id: str, day: str) -> SinkRef:
    """Return where the files of a run go.

    Raises:
        ConfigError: A placeholder is not known.
    """
    return sink_ref(
        export.destination,
        base_dir=base_dir,
        placeholders={
            "date": day,
            "export": export.name,
            "table": export.name,
            "run_id": run_id,
        },
        without=foreign_keys(export.destination),
    )


def open_export_destination(
    export: ExportConfig, context: RunContext, *, run_id: str, day: str
) -> Destination:
    """Open an export's destination; an unwritable one is found here, before any row is read.

    Raises:
        DestinationError: It cannot be written.
    """
    ref = export_sink(export, context.config.base_dir, run_id=run_id, day=day)
    return open_destination(ref, interrupted=context.interrupted)


def prepare(
    export: ExportConfig,
    context: RunContext,
    ledger: RunProgress,
    *,
    session: Session,
    destination: Destination,
    tuning: ResolvedTuning,
) -> Job:
    """Describe the relation and resolve the plan.

    Raises:
        ConfigError: A setting does not fit.
        PlanError: The relation cannot be exported as asked; all offending columns are named.
        SourceError: The catalog cannot be read.
        FormatError: The format cannot write a column.
    """
    from rivet.execution.worker.enrich import Enricher
    from rivet.model.arrow import arrow_schema

    relation = relation_of(context.config, export)
    rules = column_rules(export)
    output = output_plan(export)
    columns = session.columns(relation, rules)
    facts = session.facts(relation)
    _refuse_denied(export, relation, facts)
    schema = arrow_schema(columns)
    enricher = Enricher(schema, output, exported_at=ledger.started_at)
    file_format = load_format(output.format)
    file_format.check(enricher.schema, output.writer)
    is_listable = load_destination(export.destination.type).CAPABILITIES.is_listable
    refuse_impossible(export_name=export.name, destination_is_listable=is_listable, output=output)
    mode = Mode(export.mode)
    batch_bytes = _batch_bytes(tuning, output, context.max_memory_mb)
    shape, facts, rules_text = _shape(export, relation, facts, columns, session)
    shape = undoubted(shape, export, relation, facts, session)
    plan = ExportPlan(
        export_name=export.name,
        run_id=ledger.run_id,
        started_at=ledger.started_at,
        engine=canonical_engine(context.config.source.type),
        relation=relation,
        columns=columns,
        facts=facts,
        mode=mode,
        output=output,
        tuning=ReadTuning(
            profile=tuning.profile_label,
            batch_rows=tuning.batch_rows,
            batch_bytes=batch_bytes,
            throttle_ms=tuning.throttle_ms,
            max_value_bytes=tuning.max_value_bytes,
            fetch_rows=tuning.batch_size if tuning.profile == "safe" else 0,
            memory_threshold_bytes=tuning.memory_threshold_mb * _MEBIBYTE,
            max_statement_s=tuning.max_statement_s,
            max_snapshot_age_s=tuning.max_snapshot_age_s,
            read_ahead_bytes=max(READ_AHEAD_BYTES // export.workers, batch_bytes),
        ),
        destination_type=export.destination.type,
        destination_uri=destination.uri,
        fingerprint=plan_fingerprint(
            relation=relation,
            columns=columns,
            mode=mode,
            output=output,
            rules=(*rules_text, *_observed(export)),
        ),
        shape=shape,
        workers=export.workers,
        consistency=Consistency(export.consistency),
        on_schema_drift=DriftPolicy(export.on_schema_drift),
    )
    attempts = export.chunk_max_attempts
    retries = tuning.max_retries if attempts is None else attempts - 1
    retry = RetryPolicy(retries, tuning.retry_backoff_ms / 1000)
    job = Job(
        plan,
        retry,
        file_format,
        schema,
        enricher,
        export,
        is_listable,
        takes_all_columns=rules.takes_all,
        note=shape.note,
        is_adaptive=tuning.adaptive,
        least_workers=tuning.min_parallel or 1,
    )
    job.observations()
    return job


def _observed(export: ExportConfig) -> tuple[str, ...]:
    """Return what the rows are observed for: a run that goes on must have seen it in all of them.

    Limits are left out: what was observed can be judged by others.
    """
    rules = quality_rules(export)
    if rules is None:
        return ()
    nulls, unique = sorted(rules.null_ratio_max), sorted(rules.unique_columns)
    return ("observed", repr(nulls), repr(unique), str(rules.unique_max_entries))


def _refuse_denied(export: ExportConfig, relation: Relation, facts: TableFacts) -> None:
    """Refuse to cut or bound by columns that the user may not read."""
    settle = export.settle.column if export.settle else None
    window = export.time_column if export.mode is Mode.TIME_WINDOW else None
    cut_by = (export.chunk_column, export.chunk_by_key, window)
    bound_by = (export.cursor, export.cursor_fallback, settle)
    if denied := [one for one in dict.fromkeys(cut_by + bound_by) if one in facts.denied]:
        listed = ", ".join(f"'{visible(name)}'" for name in denied if name)
        msg = f"the user may not read {visible(relation.label)}: {listed}"
        hint = "grant the user SELECT on the table or those columns, or cut it by another column"
        raise SourceAuthError(msg, hint=hint)


def _shape(
    export: ExportConfig,
    relation: Relation,
    facts: TableFacts,
    columns: tuple[Column, ...],
    session: Session,
) -> tuple[Shape, TableFacts, tuple[str, ...]]:
    """Return how the relation is cut, by which facts, and what was asked for as text."""
    if export.mode is not Mode.CHUNKED:
        return WHOLE_SHAPE, facts, ()
    rules = chunk_rules(export)
    never_null = frozenset(one.source_name for one in columns if not one.nullable)
    shape, facts = shape_of(rules, relation, facts, never_null, session)
    return shape, facts, rules.fields


def _batch_bytes(tuning: ResolvedTuning, output: OutputPlan, max_memory_mb: int | None) -> int:
    """Return the largest batch: a file can only end between batches, and a budget is kept."""
    limits = [tuning.batch_bytes]
    if output.max_file_bytes:
        limits.append(output.max_file_bytes)
    if max_memory_mb:
        limits.append(max_memory_mb * _MEBIBYTE // _BATCHES_IN_SHARE)
    return min(limits)
