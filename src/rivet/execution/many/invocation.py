"""Invocation of many exports: sequential or parallel, each with exactly one outcome."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rivet.errors import RivetError
from rivet.events import Warned
from rivet.execution.children.start import ready_launcher, start_launcher
from rivet.execution.context import RunContext, RunOptions, random_hex, utc_now
from rivet.execution.many.parallel import (
    Parallelism,
    ParallelMode,
    held_connections,
    launching,
)
from rivet.execution.many.processes import Processes
from rivet.execution.many.refused import refused_all
from rivet.execution.many.threads import run_threads
from rivet.execution.selection import refuse_shared_stream, select_exports
from rivet.execution.snapshot.budget import ConnectionShares
from rivet.execution.stopping import StopRequest, signals_ask, signals_noted
from rivet.execution.telling.recovered import recovered_runs
from rivet.execution.telling.reports import (
    NOT_STARTED,
    finished_event,
    interrupted_report,
    told_mode,
)
from rivet.model.report import RunReport
from rivet.model.run import AggregateRecord
from rivet.plan.naming import new_aggregate_id
from rivet.state.tellings import open_telling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rivet.config.models import Config, ExportConfig
    from rivet.events import Emit, Event
    from rivet.execution.children.launch import Launcher
    from rivet.model.report import ChildOutput, ExportReport
    from rivet.model.source import SharedSnapshot
    from rivet.state.store import StateStore
    from rivet.state.tellings import Telling


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a parent process has decided for its child.

    Attributes:
        run_id: Name of the one run.
        run_started_at: Start of the whole invocation.
        max_memory_mb: The child's share of the memory budget; None without one.
        max_connections: The child's share of the connections; None for no limit.
        snapshot: An instant shared by all exports; None without one.
        answers_as: The invocation that answers for the run.
    """

    run_id: str
    run_started_at: datetime
    max_memory_mb: int | None = None
    max_connections: int | None = None
    snapshot: SharedSnapshot | None = None
    answers_as: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An invocation that is over.

    Attributes:
        telling: Has to hear how this process ends, once the report was told; None in a child.
        interrupt: The Ctrl-C or the exit request that ended it early, to be raised by the caller
            once it has told what was done.
    """

    report: RunReport
    interrupt: BaseException | None = None
    telling: Telling | None = None


def run_exports(  # noqa: PLR0913 - one invocation, with all that can differ
    config: Config,
    *,
    names: Sequence[str] | None = None,
    options: RunOptions | None = None,
    parallel: Parallelism | None = None,
    emit: Emit | None = None,
    env: Mapping[str, str] | None = None,
    launcher: Launcher | None = None,
    assignment: Assignment | None = None,
) -> Ended:
    """Run exports; a failure does not stop the others.

    Args:
        config: The loaded configuration.
        names: Exports to run; None is all.
        options: What the flags of `rivet run` change.
        parallel: How many at once, and in what; None is one after another.
        emit: Takes every event, from the threads of the exports; None drops them.
        env: Environment for secrets and the state's address; None is the process's own.
        launcher: Starts children; closed here. None chooses one when it is needed.
        assignment: For a child process.

    Returns:
        One report per export, failed ones included, also where a signal ended it early.

    Raises:
        ConfigError: A name is not in the configuration.
        UnsupportedPlanError: Two of the exports go to standard output.
        StateError: The state store cannot be opened.
    """
    selected = select_exports(config, names)
    refuse_shared_stream(selected)
    invocation = _Invocation(
        config,
        selected,
        options or RunOptions(),
        parallel or Parallelism(),
        emit or _drop,
        os.environ if env is None else env,
        assignment,
    )
    return invocation.run(launcher)


def _drop(_event: Event) -> None:
    return


@dataclass(slots=True)
class _Invocation:
    """The parts of an invocation share these; `run` is called once."""

    config: Config
    selected: Sequence[ExportConfig]
    options: RunOptions
    parallel: Parallelism
    emit: Emit
    env: Mapping[str, str]
    assignment: Assignment | None
    began_at: datetime = field(default_factory=utc_now)
    reports: dict[str, ExportReport] = field(default_factory=dict)
    outputs: dict[str, ChildOutput] = field(default_factory=dict)
    aggregate_id: str = ""
    telling: Telling | None = None

    def run(self, launcher: Launcher | None) -> Ended:
        try:
            return self._run(launcher)
        except BaseException:
            self._leave_untold()
            raise

    def _run(self, launcher: Launcher | None) -> Ended:
        from rivet.state.store import open_store

        self.aggregate_id = new_aggregate_id(self.began_at, random_hex())
        mode = self.parallel.mode
        with contextlib.ExitStack() as stack:
            if mode is ParallelMode.PROCESSES and launcher is None:
                # Before the state is open: nothing of this process may cross into a child.
                launcher = start_launcher(self.env, [self.config.source.type])
            if launcher is not None:
                stack.callback(launcher.close)
            if self.assignment is None:
                self.reports = refused_all(self.config, self.selected, self.env, self.emit)
                if self.reports:
                    return Ended(self._report(None))
            url = self.env.get("RIVET_STATE_URL")
            has_come = stack.enter_context(signals_noted())
            state = stack.enter_context(open_store(self.config.base_dir, url=url))
            state.database.heed(has_come)
            self._answer(state)
            began_at = self.assignment.run_started_at if self.assignment else self.began_at
            told = self.assignment.max_memory_mb if self.assignment else None
            shared = RunContext(
                self.config,
                self.options,
                state,
                self.emit,
                self.env,
                run_started_at=began_at,
                max_memory_mb=self.parallel.memory_each_mb or told,
                is_state_checked=self.assignment is not None,
                snapshot=self._snapshot(stack),
                max_connections=self._connections_of_one(),
                interrupted=has_come,
            )
            if mode is ParallelMode.SEQUENTIAL:
                interrupt = self._one_after_another(shared)
            else:
                state.check_writable()
                interrupt = self._side_by_side(shared, launcher)
            report = self._report(interrupt)
            try:
                own = {export.run_id for export in report.exports}
                recovered = recovered_runs(state, own) if self.telling is not None else ()
                report = replace(report, recovered_runs=recovered)
            except RivetError:
                self._leave_untold()
            if len(self.selected) > 1:
                _record_aggregate(report, state)
        return Ended(report, interrupt, self.telling)

    def _answer(self, state: StateStore) -> None:
        """Answer for the runs of this invocation, or let the parent do it."""
        if self.assignment is not None:
            state.answers_as = self.assignment.answers_as
        else:
            self.telling = open_telling(state, self.aggregate_id)

    def _leave_untold(self) -> None:
        """Tell nothing: whoever comes next does."""
        if self.telling is not None:
            self.telling.close()
        self.telling = None

    def _snapshot(self, stack: contextlib.ExitStack) -> SharedSnapshot | None:
        """Return the instant of the whole run: the parent's, or one that is held from here on."""
        if self.assignment is not None:
            return self.assignment.snapshot
        from rivet.execution.snapshot.shared import shared_snapshot

        return stack.enter_context(
            shared_snapshot(self.config, self.selected, self.max_concurrent, self.env)
        )

    @property
    def max_concurrent(self) -> int:
        """The most exports that run at the same time."""
        is_side_by_side = self.parallel.mode is not ParallelMode.SEQUENTIAL
        return min(self.parallel.max_concurrent, len(self.selected)) if is_side_by_side else 1

    def _connections_of_one(self) -> int | None:
        """Return the connections of an export that runs alone; a child's share is decided."""
        if self.assignment is not None:
            return self.assignment.max_connections
        return self._shares(1).acquire("")

    def _shares(self, max_concurrent: int) -> ConnectionShares:
        held = held_connections(self.selected)
        limit = self.config.max_connections
        return ConnectionShares(limit, concurrent=max_concurrent, held=held)

    def _one_after_another(self, shared: RunContext) -> BaseException | None:
        from rivet.execution.many.one_export import run_single

        run_id = self.assignment.run_id if self.assignment else None
        for export in self.selected:
            report, interrupt = run_single(export, shared, run_id=run_id)
            self.reports[export.name] = report
            if interrupt is not None:
                return interrupt
        return None

    def _side_by_side(self, shared: RunContext, launcher: Launcher | None) -> BaseException | None:
        told = launching(self.config, self.selected, self.env)
        exports, max_concurrent = told.exports, self.max_concurrent
        if told.fitting is not None and told.fitting < max_concurrent:
            message = (
                f"{told.fitting} exports at once instead of {max_concurrent}: "
                "the source's limits leave no more connections; lower --parallel-exports or raise "
                "the limit"
            )
            max_concurrent = told.fitting
            self.emit(Warned("", rule="connections", message=message))
        shares = self._shares(max_concurrent)
        with StopRequest() as stop:
            shared.state.database.heed(lambda: stop.is_set)
            with signals_ask(stop):
                if self.parallel.mode is ParallelMode.THREADS or launcher is None:
                    context = replace(shared, stop=stop, interrupted=lambda: stop.is_set)
                    self.reports = run_threads(
                        exports,
                        lambda export: _run_within(shares, export, context),
                        max_concurrent=max_concurrent,
                        stop=stop,
                    )
                else:
                    processes = Processes(shared, run_aggregate_id=self.aggregate_id, shares=shares)
                    with contextlib.closing(ready_launcher(launcher)) as starter:
                        processes.run(exports, starter, max_concurrent=max_concurrent, stop=stop)
                    self.reports, self.outputs = processes.reports, processes.outputs
            return _interrupt(stop.signal)

    def _report(self, interrupt: BaseException | None) -> RunReport:
        """Return the report; exports whose turn never came have a verdict too."""
        for export in self.selected:
            if export.name not in self.reports:
                report = interrupted_report(export.name, NOT_STARTED)
                self.reports[export.name] = report
                self.emit(finished_event(report))
        return RunReport(
            run_aggregate_id=self.aggregate_id,
            started_at=self.began_at,
            finished_at=utc_now(),
            config_path=str(self.config.path),
            exports=tuple(self._told(export) for export in self.selected),
            parallel_mode=str(self.parallel.mode),
            stopped_by=_signal_of(interrupt),
            child_outputs=tuple(
                self.outputs[export.name] for export in self.selected if export.name in self.outputs
            ),
        )

    def _told(self, export: ExportConfig) -> ExportReport:
        """Return a report with what the configuration tells of an export that was not planned."""
        report = replace(self.reports[export.name], mode=told_mode(export))
        if report.plan.destination_uri:
            return report
        from rivet.execution.run.destined import destined_for

        began_at = self.assignment.run_started_at if self.assignment else self.began_at
        base_dir, day = self.config.base_dir, f"{began_at:%Y-%m-%d}"
        uri = destined_for(export, base_dir, run_id=report.run_id, day=day)
        return replace(report, plan=replace(report.plan, destination_uri=uri))


def _run_within(
    shares: ConnectionShares, export: ExportConfig, context: RunContext
) -> ExportReport:
    from rivet.execution.many.one_export import run_single

    share = shares.acquire(export.name)
    try:
        return run_single(export, replace(context, max_connections=share))[0]
    finally:
        shares.release(export.name)


def _interrupt(number: int | None) -> BaseException | None:
    if number is None:
        return None
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _signal_of(interrupt: BaseException | None) -> int | None:
    if interrupt is None:
        return None
    if isinstance(interrupt, SystemExit) and isinstance(interrupt.code, int):
        return max(interrupt.code - 128, 0)
    return signal.SIGINT


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
