"""`rivet files`: the parts of the current run, which is what a reader should read."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from rivet.cli.options import ConfigOption, ExportsOption, ParamsOption, parse_params


def files(
    config: ConfigOption,
    export: ExportsOption = None,
    param: ParamsOption = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document with rows and sizes.")
    ] = False,
) -> None:
    """List the parts of each export's current run, one path or URI per line.

    A full export writes new files every time and leaves the old ones for whoever still reads them;
    this list never doubles a row. Example: rivet files -c rivet.yaml -e orders
    """
    from rivet.config.load import load_config
    from rivet.execution.upkeep.state_commands import current_files
    from rivet.redact import visible_json, visible_line

    listed = current_files(load_config(config, params=parse_params(param)), export)
    if as_json:
        body = [item.to_json() for item in listed]
        sys.stdout.write(visible_json(json.dumps(body, indent=2, ensure_ascii=False)) + "\n")
        return
    # A program that reads the list needs the names as they are; a terminal must not obey them.
    shown = visible_line if sys.stdout.isatty() else str
    for item in listed:
        if item.run_id is None:
            sys.stderr.write(f"{visible_line(item.export_name)}: no successful run yet\n")
        for part in item.parts:
            sys.stdout.write(shown(part.location) + "\n")
