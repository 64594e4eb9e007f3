"""The command tree and its entry point."""

from __future__ import annotations

from typing import Annotated

import typer

from rivet.cli import backfill, demo, files, prune, repair, run, schema, state
from rivet.cli.guard import guarded
from rivet.model.version import __version__

app = typer.Typer(
    name="rivet",
    help="Take tables and queries out of databases and land them as Parquet or CSV.",
    epilog="Start with: rivet demo",
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - the callback's protocol
    if not wanted:
        return
    from rivet.wire.kernel import kernel_kind

    typer.echo(f"rivet {__version__} (kernel: {kernel_kind()})")
    raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            help="Print the version and the kind of kernel, then exit.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
    json_errors: Annotated[
        bool,
        typer.Option("--json-errors", help="Print errors as one JSON line; works anywhere."),
    ] = False,
) -> None:
    del version, json_errors
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


app.command("run")(run.run)
app.command("backfill")(backfill.backfill)
app.command("files")(files.files)
app.command("prune")(prune.prune)
app.command("repair")(repair.repair)
app.command("demo")(demo.demo)
app.add_typer(schema.app, name="schema")
app.add_typer(state.app, name="state")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    guarded(app)
