"""`rivet repair`: make good again what was lost beside the data."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rivet.cli.options import ConfigOption, ExportsOption, ParamsOption, parse_params
from rivet.errors import ConfigError, StateLostError
from rivet.redact import visible_line


def repair(
    config: ConfigOption,
    export: ExportsOption = None,
    param: ParamsOption = None,
    *,
    state: Annotated[
        bool,
        typer.Option("--state", help="Rebuild runs and progress from the manifests of the files."),
    ] = False,
) -> None:
    """Rebuild a state that was lost or damaged; what it still knows stays.

    A state file that cannot be read is moved away first.

    Example: rivet repair --state -c rivet.yaml
    """
    from rivet.config.load import load_config
    from rivet.execution.upkeep.repair_state import repair_state

    if not state:
        msg = "rivet repair mends the state only"
        raise ConfigError(msg, hint="say so: rivet repair --state", code="RIVET_USAGE")
    loaded = load_config(config, params=parse_params(param))
    done = repair_state(loaded, export, os.environ)
    for line in done.lines or ["there is nothing to repair"]:
        sys.stdout.write(visible_line(line) + "\n")
    if not done.is_whole:
        msg = "the state could not be rebuilt in full"
        raise StateLostError(msg, hint="decide what is named above")
