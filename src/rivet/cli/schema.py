"""`rivet schema`: the contracts for editors and programs."""

from __future__ import annotations

import json
import sys

import typer

app = typer.Typer(
    help="Print Rivet's contracts.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("config")
def config() -> None:
    """Print the JSON Schema of the configuration, for editors.

    Example: rivet schema config > rivet.schema.json
    """
    from rivet.config.schema import config_schema

    sys.stdout.write(json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n")


@app.callback()
def _group() -> None:
    return
