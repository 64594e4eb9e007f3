"""`rivet backfill`: take a range of an export once more, beside the live export."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rivet.cli.given import flag, option, params_again, telling
from rivet.cli.options import (
    ConfigOption,
    LockWaitOption,
    ParamsOption,
    ProgressOption,
    ProgressStyle,
    ReconcileOption,
    StrictOption,
    ValidateOption,
    parse_params,
    run_environment,
)
from rivet.ui.commands import Again


def backfill(  # noqa: PLR0913 - one per option
    config: ConfigOption,
    export: Annotated[str, typer.Option("--export", "-e", help="The export.", show_default=False)],
    start: Annotated[
        str, typer.Option("--from", help="First value of the cursor.", show_default=False)
    ],
    end: Annotated[str, typer.Option("--to", help="Value behind the last.", show_default=False)],
    param: ParamsOption = None,
    *,
    validate: ValidateOption = False,
    reconcile: ReconcileOption = False,
    strict: StrictOption = False,
    lock_wait: LockWaitOption = None,
    progress: ProgressOption = ProgressStyle.AUTO,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON document.")
    ] = False,
) -> None:
    """Take the rows of a range of the cursor again, into a folder `backfill` of its own.

    Example: rivet backfill -c rivet.yaml -e orders --from 2024-01-01 --to 2024-02-01
    """
    from rivet.cli.words import conclude
    from rivet.config.load import load_config
    from rivet.execution.context import RunOptions
    from rivet.execution.many.invocation import run_exports
    from rivet.execution.pool.memory import use_lean_allocator
    from rivet.execution.upkeep.backfill import backfill_config
    from rivet.ui.screen import screen

    use_lean_allocator()
    loaded = backfill_config(load_config(config, params=parse_params(param)), export)
    loaded = loaded.strictly() if strict else loaded
    options = RunOptions(validate or reconcile, reconcile=reconcile, backfill=(start, end))
    names = tuple(item.name for item in loaded.exports)
    with screen(sys.stderr, names, style=progress.value, opening=None) as emit:
        environment = run_environment(lock_wait)
        ended = run_exports(loaded, options=options, emit=telling(emit), env=environment)
    given = (
        option("--export", export),
        option("--from", start),
        option("--to", end),
        flag("--validate", is_given=validate),
        flag("--reconcile", is_given=reconcile),
        flag("--strict", is_given=strict),
        option("--lock-wait", lock_wait),
    )
    again = Again("backfill", params_again(), "".join(given), resumes=False)
    is_silent = progress is ProgressStyle.JSON
    conclude(ended, again=again, as_json=as_json, summary=None, is_silent=is_silent)
