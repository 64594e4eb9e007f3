"""`rivet run`: run the exports of a configuration."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rivet.cli.child import Request, is_child, run_as_child
from rivet.cli.given import flag, option, params_again, pasteable, telling
from rivet.cli.options import (
    ConfigOption,
    ExportsOption,
    ForceOption,
    FreshOption,
    LockWaitOption,
    ParamsOption,
    ProcessesOption,
    ProgressOption,
    ProgressStyle,
    ReconcileOption,
    ResumeOption,
    StrictOption,
    ThreadsOption,
    ValidateOption,
    parallel_again,
    parse_parallel,
    parse_params,
    run_environment,
)
from rivet.errors import ConfigError
from rivet.ui.commands import Again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.config.models import ExportConfig
    from rivet.execution.many.parallel import Parallelism


def run(  # noqa: PLR0913 - one per option
    config: ConfigOption,
    export: ExportsOption = None,
    param: ParamsOption = None,
    *,
    validate: ValidateOption = False,
    reconcile: ReconcileOption = False,
    resume: ResumeOption = False,
    force: ForceOption = False,
    fresh: FreshOption = False,
    parallel_exports: ThreadsOption = None,
    parallel_export_processes: ProcessesOption = None,
    strict: StrictOption = False,
    lock_wait: LockWaitOption = None,
    progress: ProgressOption = ProgressStyle.AUTO,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON document.")
    ] = False,
    summary_output: Annotated[
        Path | None,
        typer.Option(
            "--summary-output", help="Write the same JSON to this file.", show_default=False
        ),
    ] = None,
) -> None:
    """Run exports: read the source, write the files, publish the manifest.

    Example: rivet run -c rivet.yaml -e orders --validate
    """
    threads, processes = parse_parallel(parallel_exports), parse_parallel(parallel_export_processes)
    params = parse_params(param)
    from rivet.execution.pool.memory import use_lean_allocator

    use_lean_allocator()
    from rivet.execution.context import RunOptions

    options = RunOptions(
        validate=validate or reconcile, reconcile=reconcile, resume=resume, force=force, fresh=fresh
    )
    if is_child():
        run_as_child(Request(config, export, params, options))
        return
    with ExitStack() as stack:
        launcher = None
        if processes and not threads and (export is None or len(export) > 1):
            from rivet.execution.children.start import start_launcher

            # What children need is loaded while the configuration is read.
            launcher = start_launcher(os.environ)
            stack.callback(launcher.close)
        from rivet.cli.words import conclude
        from rivet.config.load import load_config
        from rivet.execution.many.invocation import run_exports
        from rivet.execution.many.parallel import parallelism
        from rivet.execution.selection import select_exports
        from rivet.ui.screen import screen

        loaded = load_config(config, params=params)
        loaded = loaded.strictly() if strict else loaded
        is_silent = progress is ProgressStyle.JSON
        warnings = [*loaded.warnings]
        if force and not resume:
            warnings.append("--force has no effect without --resume")
        for warning in () if is_silent else warnings:
            sys.stderr.write(f"warning: {pasteable(warning)}\n")
        selected = select_exports(loaded, export)
        parallel = parallelism(loaded, selected, threads=threads, processes=processes)
        _refuse_shared_stdout(selected, as_json=as_json)
        names = tuple(item.name for item in selected)
        opening = _opening(parallel, len(names))
        with screen(sys.stderr, names, style=progress.value, opening=opening) as emit:
            ended = run_exports(
                loaded,
                names=export,
                options=options,
                parallel=parallel,
                emit=telling(emit),
                env=run_environment(lock_wait),
                launcher=launcher,
            )
    given = (
        flag("--validate", is_given=validate),
        flag("--reconcile", is_given=reconcile),
        flag("--fresh", is_given=fresh),
        flag("--strict", is_given=strict),
        option("--lock-wait", lock_wait),
    )
    parallel_text = parallel_again(parallel_exports, parallel_export_processes)
    again = Again("run", params_again(), "".join(given), parallel_text)
    conclude(ended, again=again, as_json=as_json, summary=summary_output, is_silent=is_silent)


def _opening(parallel: Parallelism, count: int) -> str | None:
    from rivet.execution.many.parallel import ParallelMode

    if parallel.mode is not ParallelMode.PROCESSES:
        return None
    return (
        f"  … starting {count} export processes, {parallel.max_concurrent} at once; "
        "waiting for the first child event"
    )


def _refuse_shared_stdout(selected: Sequence[ExportConfig], *, as_json: bool) -> None:
    for export in selected if as_json else ():
        if export.destination.type == "stdout":
            msg = f"export '{export.name}' writes its rows on stdout, where --json writes too"
            raise ConfigError(msg, hint="use --summary-output FILE instead of --json")
