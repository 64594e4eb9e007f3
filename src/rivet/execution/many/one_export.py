"""Run of one export to its one outcome, with its report, whatever happens on the way."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rivet.errors import RivetError
from rivet.events import ExportLaunched
from rivet.execution.context import random_hex, utc_now
from rivet.execution.pool.memory import MemorySampler
from rivet.execution.progress import RunProgress, failure_of, outcome_of
from rivet.execution.run.export import run_export
from rivet.execution.run.finish import recorded_end
from rivet.execution.telling.faults import with_faults
from rivet.execution.telling.journal import Journal
from rivet.execution.telling.reports import finished_event
from rivet.execution.telling.runfiles import write_run_files
from rivet.execution.warning import warn
from rivet.model.finish import Finish
from rivet.plan.naming import new_run_id

if TYPE_CHECKING:
    from rivet.config.models import ExportConfig
    from rivet.execution.context import RunContext
    from rivet.model.report import ExportReport, Failure


def run_single(
    export: ExportConfig, shared: RunContext, *, run_id: str | None = None
) -> tuple[ExportReport, BaseException | None]:
    """Run one export and record its verdict.

    Args:
        export: The export.
        shared: What the exports of this invocation share.
        run_id: Its name, where the parent process has given one.

    Returns:
        The report, and the Ctrl-C or exit request that ended it early, to be raised again.
    """
    started_at = utc_now()
    name = run_id or new_run_id(export.name, started_at, random_hex())
    ledger = RunProgress(export.name, name, started_at)
    journal = Journal(shared.state, shared.emit, ledger)
    context = replace(shared, emit=with_faults(journal, shared.env))
    with MemorySampler() as memory:
        ledger.peak_mb = lambda: memory.peak_mb
        journal(ExportLaunched(export.name, name, os.getpid()))
        status, failure, interrupt = _run_to_verdict(export, context, ledger)
    report = ledger.report(
        status, finished_at=context.clock(), peak_rss_mb=memory.peak_mb, failure=failure
    )
    try:
        report = _close_run(report, context, ledger)
        context.emit(finished_event(report))
        journal.flush()
        write_run_files(report, context.config.base_dir)
    except (KeyboardInterrupt, SystemExit) as stop:
        interrupt = interrupt or stop  # what is on record by now is told, whoever is in a hurry
    return report, interrupt


def _run_to_verdict(
    export: ExportConfig, context: RunContext, ledger: RunProgress
) -> tuple[str, Failure | None, BaseException | None]:
    try:
        return run_export(export, context, ledger), None, None
    except (KeyboardInterrupt, SystemExit) as stop:
        return recorded_end(context, ledger) or "interrupted", None, stop
    except Exception as error:  # noqa: BLE001 - every export ends with a verdict
        end = recorded_end(context, ledger)
        if end is not None:
            # The record stands, and so do the files; what fails after them takes nothing back.
            warn(
                context,
                ledger,
                "finish",
                f"after the run was finished: {failure_of(error).message}",
            )
            return end, None, None
        if context.stop is not None and context.stop.is_set:
            return "interrupted", None, None  # its statement was cancelled on purpose
        return "failed", failure_of(error), None


def _close_run(report: ExportReport, context: RunContext, ledger: RunProgress) -> ExportReport:
    """Record the verdict of a run that did not end well; a good one is on record already."""
    if not ledger.is_begun or ledger.finished_as is not None:
        return report
    with suppress(RivetError):  # the first failure is the one to tell
        context.state.finish(report.run_id, Finish(outcome_of(report, context.clock())))
    return report
