"""The words and files after a run."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.cli.guard import at_last
from rivet.errors import DestinationError
from rivet.openfile import open_regular
from rivet.redact import visible_json
from rivet.ui.blocks import export_block, stderr_dump
from rivet.ui.summary import going_on, recovered, run_summary

if TYPE_CHECKING:
    from rivet.execution.many.invocation import Ended
    from rivet.model.report import RunReport
    from rivet.ui.commands import Again

# The words after a run fit on a screen: more than that of child output goes into a file.
_INLINE_LINES: Final = 20
_MOST_LINES: Final = 58


def conclude(
    ended: Ended, *, again: Again, as_json: bool, summary: Path | None, is_silent: bool
) -> None:
    """Tell what an invocation did, and end as it ended.

    Args:
        ended: The invocation.
        again: What the command that goes on repeats of this one.
        as_json: Print the aggregate on standard output.
        summary: Where to write the same; None for nowhere.
        is_silent: Say nothing on standard error.

    Raises:
        DestinationError: The summary cannot be written, and nothing worse happened.
        OSError: Standard output takes nothing, and nothing worse happened.
        RivetError: An export failed.
        KeyboardInterrupt: Ctrl-C ended it early.
        SystemExit: A signal did.
    """
    from rivet.execution.telling.failures import raise_for_failures

    report = ended.report
    body = json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"
    unwritten: list[Exception] = []
    if as_json:
        try:
            sys.stdout.write(visible_json(body))
            sys.stdout.flush()
        except OSError as error:
            unwritten.append(error)
    written = None
    if summary is not None:
        try:
            _write_summary(summary, body)
            written = summary
        except DestinationError as error:
            unwritten.append(error)
    if not is_silent:
        _print_words(report, written, again)
    try:
        sys.stdout.flush()
    except OSError as error:
        unwritten.append(error)
    if ended.telling is not None:
        at_last(ended.telling.end)
    # The verdict on the run comes before those on what could not be told of it.
    if ended.interrupt is not None:
        raise ended.interrupt
    raise_for_failures(report)
    for problem in unwritten:
        raise problem


def _write_summary(path: Path, body: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        descriptor = open_regular(path, flags=flags, mode=0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(body)
    except OSError as error:
        msg = f"the summary cannot be written to {path}: {error.strerror}"
        raise DestinationError(msg, hint="the run itself is complete; see `rivet files`") from error


def _print_words(report: RunReport, summary_output: Path | None, again: Again) -> None:
    if len(report.exports) == 1:
        block = export_block(report.exports[0])
        if told := recovered(report):
            block += f"  recovered: {told}\n"
        sys.stderr.write(block + going_on(report, again))
        return
    written = str(summary_output) if summary_output else None
    told = run_summary(report, written=written, again=again)
    sys.stderr.write(told)
    _print_child_words(report, min(_INLINE_LINES, _MOST_LINES - told.count("\n")))


def _print_child_words(report: RunReport, most: int) -> None:
    """Print what children wrote on their standard error, or where it was put."""
    dump = stderr_dump(report.child_outputs)
    if dump.count("\n") > most:
        now = datetime.now(UTC)
        path = Path(report.config_path).parent / f"rivet-child-stderr-{now:%Y%m%dT%H%M%S}.log"
        try:
            # Nobody else's file: where others may write to the folder, a link may lie in wait.
            with path.open("x", encoding="utf-8", errors="replace") as file:
                file.write(dump)
        except OSError as error:
            sys.stderr.write(f"warning: {path} cannot be written: {error.strerror}\n")
        else:
            dump = f"\n  child stderr (full per-export logs) → {path}\n"
    sys.stderr.write(dump)
