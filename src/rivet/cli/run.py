"""`rivet run`: run the exports of a configuration."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rivet.cli.options import ConfigOption, ExportsOption, ParamsOption, parse_params
from rivet.errors import ConfigError, DestinationError

if TYPE_CHECKING:
    from rivet.config.models import Config
    from rivet.model.report import RunReport


def run(
    config: ConfigOption,
    export: ExportsOption = None,
    param: ParamsOption = None,
    *,
    validate: Annotated[
        bool,
        typer.Option(
            "--validate",
            help="Count each part again before publishing it, and check the manifest after.",
        ),
    ] = False,
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
    from rivet.execution.memory import use_lean_allocator

    use_lean_allocator()
    from rivet.config.load import load_config
    from rivet.execution.invocation import raise_for_failures, run_exports, select_exports
    from rivet.ui.screen import screen

    loaded = load_config(config, params=parse_params(param))
    for warning in loaded.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    selected = select_exports(loaded, export)
    if as_json:
        _refuse_shared_stdout(loaded, [item.name for item in selected])
    with screen(sys.stderr, tuple(item.name for item in selected)) as emit:
        report = run_exports(loaded, names=export, validate=validate, emit=emit)
    body = json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"
    if as_json:
        sys.stdout.write(body)
    written = None
    try:
        if summary_output is not None:
            _write_summary(summary_output, body)
            written = summary_output
    finally:  # the verdict on the run comes before that on its summary
        _print_words(report, written)
        raise_for_failures(report)


def _refuse_shared_stdout(config: Config, names: list[str]) -> None:
    for export in config.exports:
        if export.name in names and export.destination.type == "stdout":
            msg = f"export '{export.name}' writes its rows on stdout, where --json writes too"
            raise ConfigError(msg, hint="use --summary-output FILE instead of --json")


def _write_summary(path: Path, body: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    except OSError as error:
        msg = f"the summary cannot be written to {path}: {error.strerror}"
        raise DestinationError(msg, hint="the run itself is complete; see `rivet files`") from error


def _print_words(report: RunReport, summary_output: Path | None) -> None:
    from rivet.ui.blocks import export_block, run_summary

    if len(report.exports) == 1:
        sys.stderr.write(export_block(report.exports[0]))
        return
    written = str(summary_output) if summary_output else None
    sys.stderr.write(run_summary(report, written=written))
