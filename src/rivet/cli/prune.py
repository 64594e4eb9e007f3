"""`rivet prune`: remove the files of old runs."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from rivet.cli.options import ConfigOption, ExportsOption, ParamsOption, parse_params


def prune(
    config: ConfigOption,
    export: ExportsOption = None,
    param: ParamsOption = None,
    *,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=1,
            help="Good runs that stay; keep_runs or 1 without it.",
            show_default=False,
        ),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Remove the files; without it they are only listed.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON document.")
    ] = False,
) -> None:
    """List the files of old runs, and remove them with --execute; the current run always stays.

    Example: rivet prune -c rivet.yaml --keep 3 --execute
    """
    from rivet.config.load import load_config
    from rivet.execution.context import RunContext, RunOptions
    from rivet.execution.run.prune import plan_prune
    from rivet.execution.run.prune import prune as remove
    from rivet.redact import visible_line
    from rivet.state.store import open_store
    from rivet.ui.quantities import size

    loaded = load_config(config, params=parse_params(param))
    with open_store(loaded.base_dir) as state:
        context = RunContext(loaded, RunOptions(), state, lambda _: None, os.environ)
        old = plan_prune(loaded, export, context, keep)
        if execute:
            old = remove(loaded, old, context)
    if as_json:
        body = {"removed": execute, "runs": [one.to_json() for one in old]}
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return
    verb = "removed" if execute else "would remove"
    for one in old:
        line = (
            f"{verb} {len(one.parts)} files, {size(one.size_bytes)}: {visible_line(one.run_id)}\n"
        )
        sys.stdout.write(line)
    if not old:
        sys.stdout.write("there is nothing to remove\n")
    elif not execute:
        sys.stderr.write("nothing was removed; add --execute to do it\n")
