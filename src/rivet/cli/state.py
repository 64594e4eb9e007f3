"""`rivet state`: look after the record of runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rivet.cli.options import ConfigOption, ParamsOption, parse_params
from rivet.redact import visible_line

app = typer.Typer(
    help="Look after the state store.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("import")
def import_state(config: ConfigOption, param: ParamsOption = None) -> None:
    """Take over cursors and schemas from the reference program's state; it is only read.

    Example: rivet state import -c rivet.yaml
    """
    from rivet.config.load import load_config
    from rivet.execution.upkeep.state_commands import import_reference_state

    loaded = load_config(config, params=parse_params(param))
    for line in import_reference_state(loaded, os.environ):
        sys.stdout.write(visible_line(line) + "\n")


@app.command("reset")
def reset_state(
    config: ConfigOption,
    export: Annotated[str, typer.Option("--export", "-e", help="The export.", show_default=False)],
    param: ParamsOption = None,
) -> None:
    """Forget where an incremental export goes on; its next run takes everything again.

    Example: rivet state reset -c rivet.yaml -e orders
    """
    from rivet.config.load import load_config
    from rivet.execution.upkeep.state_commands import forget_progress

    loaded = load_config(config, params=parse_params(param))
    sys.stdout.write(visible_line(forget_progress(loaded, export, os.environ)) + "\n")


@app.command("accept")
def accept_state(
    config: ConfigOption,
    export: Annotated[str, typer.Option("--export", "-e", help="The export.", show_default=False)],
    param: ParamsOption = None,
) -> None:
    """Let the stored progress of an incremental export belong to its settings of now.

    For a table, database, cursor, path or format that was changed on purpose: the next run goes on
    from the stored progress instead of being refused. The decision is kept in the state.

    Example: rivet state accept -c rivet.yaml -e orders
    """
    from rivet.config.load import load_config
    from rivet.execution.run.ownership import accept_progress

    loaded = load_config(config, params=parse_params(param))
    for line in accept_progress(loaded, export, os.environ):
        sys.stdout.write(visible_line(line) + "\n")


@app.callback()
def _group() -> None:
    return
