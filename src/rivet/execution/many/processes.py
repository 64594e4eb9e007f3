"""Process pool of exports: what each child process is told, and the report made of what it did."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Final

from rivet.destinations.folders import left_as_found
from rivet.errors import RivetError
from rivet.events import Warned
from rivet.execution.children.command import (
    child_environment,
    command_line,
    own_program,
    program,
)
from rivet.execution.children.context import ChildContext, offer, to_bytes
from rivet.execution.children.verdict import NO_VERDICT
from rivet.execution.children.watch import Inheritance, Outcome, Preparation, Watch
from rivet.execution.context import random_hex, utc_now
from rivet.execution.progress import outcome_of
from rivet.execution.telling.reports import INTERRUPTED, finished_event, report_of
from rivet.model.finish import Finish
from rivet.model.run import RunStatus
from rivet.plan.naming import new_run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rivet.config.models import ExportConfig
    from rivet.execution.children.launch import Launcher
    from rivet.execution.context import RunContext
    from rivet.execution.snapshot.budget import ConnectionShares
    from rivet.execution.stopping import StopRequest
    from rivet.model.part import RecordedPart
    from rivet.model.report import ChildOutput, ExportReport
    from rivet.model.run import RunRow

_GOOD: Final = frozenset({RunStatus.SUCCESS, RunStatus.SKIPPED})
_UNREMARKABLE: Final = frozenset({NO_VERDICT, INTERRUPTED.code})


class Processes:
    """Runs exports as children of this process and keeps their reports.

    Args:
        shared: What the exports of this invocation share.
        run_aggregate_id: Its name.
        shares: What each of them may hold of the connections.
    """

    def __init__(
        self, shared: RunContext, *, run_aggregate_id: str, shares: ConnectionShares
    ) -> None:
        self._shares = shares
        self._shared = shared
        self._run_aggregate_id = run_aggregate_id
        self._words = program(shared.env) or own_program()
        self.reports: dict[str, ExportReport] = {}
        self.outputs: dict[str, ChildOutput] = {}

    def run(
        self,
        exports: Sequence[ExportConfig],
        launcher: Launcher,
        *,
        max_concurrent: int,
        stop: StopRequest,
    ) -> None:
        """Run the exports in this order; `reports` and `outputs` hold what came of each."""
        watch = Watch(
            launcher,
            max_concurrent=max_concurrent,
            emit=self._shared.emit,
            conclude=self._conclude,
            stop=stop,
        )
        with left_as_found(self._folders(exports)), _lifeline() as lifeline:
            watch.run([self._prepare(export, lifeline) for export in exports])

    def _folders(self, exports: Sequence[ExportConfig]) -> Iterator[Path]:
        """Yield the folders that exports share, as far as no placeholder stands in their names."""
        base = self._shared.config.base_dir.absolute()
        for export in exports:
            shared, brace, _ = (export.destination.path or "").partition("{")
            if shared:
                path = base / shared
                yield path.parent if brace and not shared.endswith("/") else path

    def _prepare(self, export: ExportConfig, lifeline: int) -> Preparation:
        run_id = new_run_id(export.name, utc_now(), random_hex())
        return Preparation(
            export_name=export.name,
            run_id=run_id,
            command=command_line(
                self._words, self._shared.config.path, export.name, self._shared.options
            ),
            directory=Path.cwd(),
            inherit=self._inherit(export, run_id, lifeline),
        )

    def _inherit(
        self, export: ExportConfig, run_id: str, lifeline: int
    ) -> Callable[[], Inheritance]:
        def inherit() -> Inheritance:
            context = ChildContext(
                run_id=run_id,
                run_aggregate_id=self._run_aggregate_id,
                run_started_at=(self._shared.run_started_at or utc_now()).isoformat(),
                config_digest=self._shared.config.digest,
                config=self._shared.config.to_document(only=(export.name,)),
                params=dict(self._shared.config.params),
                snapshot=shared.to_json() if (shared := self._shared.snapshot) else None,
                max_connections=self._shares.acquire(export.name),
                max_memory_mb=self._shared.max_memory_mb,
            )
            document = offer(to_bytes(context))
            return Inheritance(
                environment=child_environment(
                    self._shared.env, context=document, lifeline=lifeline
                ),
                closed_after=(document,),
                kept=(lifeline,),
            )

        return inherit

    def _conclude(self, outcome: Outcome) -> None:
        self._shares.release(outcome.export_name)
        report = self._report(outcome)
        self.reports[report.export_name] = report
        if outcome.output is not None:
            self.outputs[report.export_name] = outcome.output
        with suppress(Exception):  # what a listener does wrong is not the export's fault
            self._shared.emit(finished_event(report, is_synthetic=outcome.verdict.is_synthetic))

    def _report(self, outcome: Outcome) -> ExportReport:
        row: RunRow | None = None
        parts: tuple[RecordedPart, ...] = ()
        if outcome.was_launched:
            with suppress(RivetError):  # the verdict stands, its counts are then the child's own
                row = self._shared.state.run(outcome.run_id)
                parts = self._shared.state.parts(outcome.run_id)
        verdict = outcome.verdict
        ended = verdict.failure
        is_good_anyway = ended is not None and row is not None and row.status in _GOOD
        if is_good_anyway and row is not None:
            # It stopped talking or was ended a moment too late: what it did is on record.
            verdict = replace(verdict, status=str(row.status), failure=None)
        report = report_of(
            outcome.export_name,
            outcome.run_id,
            verdict=verdict,
            finished=outcome.finished,
            row=row,
            parts=parts,
        )
        if is_good_anyway and ended is not None and ended.code not in _UNREMARKABLE:
            text = f"its process {ended.message}, once the run was on record as good"
            self._shared.emit(Warned(report.export_name, rule="finish", message=text))
            report = replace(report, warnings=(*report.warnings, text))
        is_open = row is not None and row.status is RunStatus.RUNNING
        if is_open and outcome.is_certainly_dead and outcome.pid is not None:
            # Its process is gone; the run may be another one's by now.
            with suppress(RivetError):
                finish = Finish(outcome_of(report, utc_now()))
                holder = (gethostname(), outcome.pid)
                self._shared.state.finish_for(report.run_id, finish, holder)
        return report


@contextmanager
def _lifeline() -> Iterator[int]:
    """Yield the read end of a pipe whose only write end is closed when this process dies."""
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(reader)
        os.close(writer)
