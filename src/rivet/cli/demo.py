"""`rivet demo`: a generated shop, its exports, and an outside reader's count."""

from __future__ import annotations

import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rivet.errors import DataIntegrityError

if TYPE_CHECKING:
    from rivet.model.report import RunReport
    from rivet.scaffold.demo import DemoShop


class DemoEngine(StrEnum):
    """Databases the demo can bring along."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to put it; made if it is not there.")
    ] = Path("demo"),
    *,
    engine: Annotated[
        DemoEngine,
        typer.Option(help="sqlite needs nothing; postgresql starts a private server."),
    ] = DemoEngine.SQLITE,
) -> None:
    """Make a shop database of over a million rows, export it, and count the files with DuckDB.

    Example: rivet demo my-demo && ls my-demo
    """
    from rivet.execution.pool.memory import use_lean_allocator

    use_lean_allocator()
    from rivet.cli.guard import at_last
    from rivet.config.load import load_config
    from rivet.execution.many.invocation import run_exports
    from rivet.execution.many.parallel import parallelism
    from rivet.execution.telling.failures import raise_for_failures
    from rivet.scaffold.demo import make_demo
    from rivet.ui.screen import screen
    from rivet.ui.summary import run_summary

    with make_demo(directory, engine.value, say=_say) as shop:
        _say(f"\n$ rivet run -c {shop.config}\n")
        config = load_config(shop.config)
        names = tuple(export.name for export in config.exports)
        parallel = parallelism(config, config.exports, processes=True)
        with screen(sys.stderr, names) as emit:
            ended = run_exports(config, parallel=parallel, emit=emit)
        report = ended.report
        sys.stderr.write(run_summary(report))
        if ended.telling is not None:
            at_last(ended.telling.end)
        if ended.interrupt is not None:
            raise ended.interrupt
        raise_for_failures(report)
        _compare(shop, report)
    _say(f"\nLook around:   ls -R {directory}")
    _say(f"Current files: {_command()} files -c {shop.config}")
    if shop.survives_new_snapshot:
        _say(f"Run again:     {_command()} run -c {shop.config} --validate")


def _command() -> str:
    """Return what to type for this program from here."""
    return "rivet" if shutil.which("rivet") else os.path.relpath(sys.argv[0])


def _compare(shop: DemoShop, report: RunReport) -> None:
    from rivet.verify.outside import count_rows

    _say("\nRead back by DuckDB, through the list that `rivet files` prints:\n")
    _say(f"  {'export':<16}{'in the source':>15}{'in the files':>15}{'files':>7}")
    differ = []
    for export in report.exports:
        paths = [shop.path_of(part) for part in export.files]
        found = count_rows(paths, export.plan.format)
        expected = shop.expected_rows[export.export_name]
        mark = "✓" if found == expected else "✗"
        _say(f"{mark} {export.export_name:<16}{expected:>15,}{found:>15,}{len(paths):>7}")
        if found != expected:
            differ.append(export.export_name)
    if differ:
        msg = f"DuckDB counts other rows than the source in: {', '.join(differ)}"
        raise DataIntegrityError(msg)
    _say(f"\n{report.rows:,} rows in all, every count equal.")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
