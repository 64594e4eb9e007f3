"""`rivet files`: the parts that hold the rows of an export, which is what a reader should read."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from rivet.cli.options import ConfigOption, ExportsOption, ParamsOption, parse_params


def files(  # noqa: PLR0913 - one parameter for each option
    config: ConfigOption,
    export: ExportsOption = None,
    param: ParamsOption = None,
    *,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Only this run.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="RUN",
            help="Only what came after this run; refused where that begins anew.",
            show_default=False,
        ),
    ] = None,
    last_run: Annotated[
        bool, typer.Option("--last-run", help="Only the newest good run of each export.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document with rows and sizes.")
    ] = False,
) -> None:
    """List the files that hold each export's rows, one path or URI per line; no row is there twice.

    An incremental export has the files of all its runs since it last began anew, oldest first; any
    other has those of its newest good run, and the older ones stay for whoever still reads them.
    Only `lookback` takes rows again: `--json` and a line on standard error say so.
    Example: rivet files -c rivet.yaml -e orders
    """
    from rivet.config.load import load_config
    from rivet.errors import ConfigError
    from rivet.execution.upkeep.current_files import Choice, current_files
    from rivet.redact import visible_json, visible_line

    if (run is not None) + (since is not None) + last_run > 1:
        msg = "--run, --since and --last-run exclude one another"
        raise ConfigError(msg, hint="use one of them", code="RIVET_USAGE")
    choice = Choice(run, since, is_last_only=last_run)
    listed = current_files(load_config(config, params=parse_params(param)), export, choice=choice)
    if as_json:
        body = [item.to_json() for item in listed]
        sys.stdout.write(visible_json(json.dumps(body, indent=2, ensure_ascii=False)) + "\n")
        return
    # A program that reads the list needs the names as they are; a terminal must not obey them.
    shown = visible_line if sys.stdout.isatty() else str
    for item in listed:
        if item.run_id is None:
            sys.stderr.write(f"{visible_line(item.export_name)}: no successful run yet\n")
        if item.reads_again:
            text = "`lookback` takes rows again: of equal keys, the one of the later file counts"
            sys.stderr.write(f"{visible_line(item.export_name)}: {text}\n")
        for part in item.parts:
            sys.stdout.write(shown(part.location) + "\n")
