"""One invocation: its exports one after another, each with exactly one verdict."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rivet.destinations import load_destination
from rivet.errors import (
    ChildFailedError,
    ConfigError,
    RivetError,
    UnsupportedPlanError,
    worst_exit_code,
)
from rivet.events import ExportFinished
from rivet.execution.context import RunContext, RunOptions, random_hex, utc_now
from rivet.execution.export import run_export
from rivet.execution.faults import with_faults
from rivet.execution.journal import Journal
from rivet.execution.ledger import Ledger, failure_of
from rivet.execution.memory import MemorySampler
from rivet.execution.runfiles import write_run_files
from rivet.model.report import Failure, RunReport
from rivet.model.run import AggregateRecord, RunOutcome, RunStatus
from rivet.plan.naming import new_aggregate_id, new_run_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rivet.config.models import Config, ExportConfig
    from rivet.events import Emit, Event
    from rivet.model.report import ExportReport
    from rivet.state.store import StateStore

_INTERRUPTED: Final = Failure(
    code="RIVET_INTERRUPTED", message="interrupted", hint=None, exit_code=1, retryable=True
)


def select_exports(config: Config, names: Sequence[str] | None) -> tuple[ExportConfig, ...]:
    """Return the exports with these names, in configuration order; all of them for None.

    Raises:
        ConfigError: A name is not in the configuration; the hint lists the known ones.
    """
    if names is None:
        return tuple(config.exports)
    known = [export.name for export in config.exports]
    for name in names:
        if name not in known:
            msg = f"export '{name}' not found in config"
            raise ConfigError(
                msg,
                hint=f"Known exports: {', '.join(known)}",
                code="RIVET_CLI_EXPORT_UNKNOWN",
                export=name,
            )
    return tuple(export for export in config.exports if export.name in names)


def to_config(
    config: str | Path | Mapping[str, Any] | Config, params: Mapping[str, str] | None
) -> Config:
    """Return a loaded configuration, whatever form it came in.

    Raises:
        ConfigError: It is wrong, or parameters came with one that is loaded already.
    """
    from rivet.config.load import config_from_dict, load_config
    from rivet.config.models import Config as LoadedConfig

    if isinstance(config, LoadedConfig):
        if params:
            msg = "parameters cannot be applied to a configuration that is loaded already"
            raise ConfigError(msg, hint="give them to `load_config`")
        return config
    if isinstance(config, str | Path):
        return load_config(config, params=params)
    if params:
        msg = "parameters cannot be applied to a mapping: put the values into it"
        raise ConfigError(msg)
    return config_from_dict(config, base_dir=Path.cwd())


def failure_of_run(report: RunReport) -> ChildFailedError | None:
    """Return one error for all failures of a run, None where there are none.

    For a single export it carries that failure's own code and hint; for several it names all and
    carries the worst exit code.
    """
    failures = [(export.export_name, export.failure or _INTERRUPTED) for export in report.failures]
    if not failures:
        return None
    status = worst_exit_code([failure.exit_code for _, failure in failures])
    if len(report.exports) == 1:
        only = failures[0][1]
        return ChildFailedError(
            only.message, hint=only.hint, code=only.code, child_exit_code=status
        )
    names = ", ".join(f"'{name}'" for name, _ in failures)
    return ChildFailedError(
        f"{len(failures)} of {len(report.exports)} exports failed: {names}",
        hint=f"run one alone to see its whole report: rivet run -c {report.config_path} "
        f"-e {failures[0][0]}",
        child_exit_code=status,
    )


def raise_for_failures(report: RunReport) -> None:
    """Raise `failure_of_run`.

    Raises:
        ChildFailedError: At least one export failed.
    """
    error = failure_of_run(report)
    if error is not None:
        raise error


def run_exports(
    config: Config,
    *,
    names: Sequence[str] | None = None,
    validate: bool = False,
    emit: Emit | None = None,
    env: Mapping[str, str] | None = None,
) -> RunReport:
    """Run exports one after another; a failure does not stop the others.

    Args:
        config: The loaded configuration.
        names: Exports to run; None is all.
        validate: Count every part again before it is published, check the manifest after.
        emit: Takes every event; None drops them.
        env: Environment for secrets and the state's address; None is the process's own.

    Returns:
        One report per export, failed ones included.

    Raises:
        ConfigError: A name is not in the configuration.
        UnsupportedPlanError: Two of the exports go to standard output.
        StateError: The state store cannot be opened.
        KeyboardInterrupt: The user stopped it; the export at work is recorded as interrupted.
    """
    from rivet.state.store import open_store

    environment = os.environ if env is None else env
    selected = select_exports(config, names)
    _refuse_shared_stream(selected)
    started_at = utc_now()
    with open_store(config.base_dir, url=environment.get("RIVET_STATE_URL")) as state:
        reports = [
            _run_one(
                export,
                config,
                options=RunOptions(validate=validate),
                state=state,
                emit=emit or _drop,
                env=environment,
            )
            for export in selected
        ]
        report = RunReport(
            run_aggregate_id=new_aggregate_id(started_at, random_hex()),
            started_at=started_at,
            finished_at=utc_now(),
            config_path=str(config.path),
            exports=tuple(reports),
        )
        if len(selected) > 1:
            _record_aggregate(report, state)
    return report


def _refuse_shared_stream(selected: Sequence[ExportConfig]) -> None:
    sharing = [
        export.name
        for export in selected
        if not load_destination(export.destination.type).CAPABILITIES.is_listable
    ]
    if len(sharing) > 1:
        listed = ", ".join(f"'{name}'" for name in sharing)
        msg = f"exports {listed} would write one after another into one stream"
        raise UnsupportedPlanError(msg, hint=f"run one of them alone: -e {sharing[0]}")


def _drop(_event: Event) -> None:
    return


def _run_one(
    export: ExportConfig,
    config: Config,
    *,
    options: RunOptions,
    state: StateStore,
    emit: Emit,
    env: Mapping[str, str],
) -> ExportReport:
    started_at = utc_now()
    ledger = Ledger(export.name, new_run_id(export.name, started_at, random_hex()), started_at)
    journal = Journal(state, emit, ledger)
    context = RunContext(config, options, state, with_faults(journal, env), env)
    with MemorySampler() as memory:
        status, failure, interrupt = _run_to_verdict(export, context, ledger)
    report = ledger.report(
        status, finished_at=context.clock(), peak_rss_mb=memory.peak_mb, failure=failure
    )
    report = _close_run(report, context, ledger)
    context.emit(_finished_event(report))
    journal.flush()
    write_run_files(report, config.base_dir)
    if interrupt is not None:
        raise interrupt
    return report


def _run_to_verdict(
    export: ExportConfig, context: RunContext, ledger: Ledger
) -> tuple[str, Failure | None, BaseException | None]:
    try:
        return run_export(export, context, ledger), None, None
    except (KeyboardInterrupt, SystemExit) as stop:
        return "interrupted", None, stop
    except Exception as error:  # noqa: BLE001 - every export ends with a verdict
        return "failed", failure_of(error), None


def _close_run(report: ExportReport, context: RunContext, ledger: Ledger) -> ExportReport:
    """Record the verdict; a verdict that cannot be recorded turns a success into a failure."""
    if not ledger.is_begun:
        return report
    try:
        context.state.finish_run(report.run_id, _outcome(report, context.clock()))
    except RivetError as error:
        if not report.is_success:
            return report
        return ledger.report(
            "failed",
            finished_at=context.clock(),
            peak_rss_mb=report.peak_rss_mb,
            failure=failure_of(error),
        )
    return report


def _outcome(report: ExportReport, finished_at: datetime) -> RunOutcome:
    return RunOutcome(
        status=RunStatus(report.status),
        finished_at=finished_at,
        error_code=report.failure.code if report.failure else None,
        error_message=report.failure.message if report.failure else None,
        skip_reason=report.skip_reason,
        rows=report.rows,
        files=len(report.files),
        bytes_read=report.bytes_read,
        bytes_written=report.bytes_written,
        duration_ms=report.duration_ms,
        peak_rss_mb=report.peak_rss_mb,
        retries=report.retries,
        longest_statement_s=report.longest_statement_s,
        is_validated=report.is_validated,
        schema_changed=report.schema_changed,
        quality_passed=report.quality_passed,
    )


def _finished_event(report: ExportReport) -> ExportFinished:
    return ExportFinished(
        export_name=report.export_name,
        run_id=report.run_id,
        status=report.status,
        total_rows=report.rows,
        files_produced=len(report.files),
        bytes_written=report.bytes_written,
        duration_ms=report.duration_ms,
        peak_rss_mb=report.peak_rss_mb,
        error_message=report.failure.message if report.failure else None,
        error_code=report.failure.code if report.failure else None,
        bytes_read=report.bytes_read,
    )


def _record_aggregate(report: RunReport, state: StateStore) -> None:
    body = report.to_json()
    # The exports' own verdicts are recorded already; a missing aggregate row loses nothing.
    with contextlib.suppress(RivetError):
        state.record_aggregate(
            AggregateRecord(
                run_aggregate_id=report.run_aggregate_id,
                started_at=report.started_at,
                finished_at=report.finished_at,
                duration_ms=report.duration_ms,
                config_path=report.config_path,
                parallel_mode=report.parallel_mode,
                total_exports=len(report.exports),
                success_count=int(body["success_count"]),
                failed_count=int(body["failed_count"]),
                skipped_count=int(body["skipped_count"]),
                total_rows=report.rows,
                total_files=int(body["total_files"]),
                total_bytes=int(body["total_bytes"]),
                details_json=json.dumps(body["per_export"], ensure_ascii=False),
            )
        )
