"""Run several commands in one process, one after the other, and tell of each.

The entry of a process that `support.warm` forks: one fork for a name with ten things under it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rivet.cli import app
from rivet.cli.guard import report_error
from rivet.errors import RivetError
from support import warm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ENTRY = "support.hostile.several:main"
_MARK = "\x1e"


@dataclass(frozen=True)
class Told:
    """How one of the commands ended.

    Attributes:
        code: Its exit code; 70 for an error that is none of Rivet's.
        seconds: How long it took.
        said: What it wrote on standard error.
    """

    code: int
    seconds: float
    said: str


def run_each(
    folders: Sequence[Path],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout_s: float,
    most_mb: float,
) -> list[Told]:
    """Run a command in each of the folders, which is also its home.

    Args:
        folders: Where.
        arguments: Of the command.
        environment: Added to the plain one.
        timeout_s: For all of them.
        most_mb: The most memory for all of them.
    """
    ended = warm.server().run(
        [json.dumps([str(folder) for folder in folders]), *arguments],
        folders[0],
        {**warm.plain_environment(), **environment},
        timeout_s,
        entry=_ENTRY,
        address_space=3 * 1024**3,
    )
    assert ended.peak_mb < most_mb, (arguments, ended.peak_mb, ended.stderr)
    pieces = ended.stderr.split(_MARK)
    assert len(pieces) == 2 * len(folders) + 1, ended
    return [
        Told(*json.loads(verdict), said=said)
        for said, verdict in zip(pieces[:-1:2], pieces[1::2], strict=True)
    ]


def main() -> None:
    """Run what the arguments name."""
    folders = json.loads(sys.argv[1])
    for folder in folders:
        os.chdir(folder)
        os.environ["HOME"] = folder
        began = time.monotonic()
        code = _code_of(sys.argv[2:])
        verdict = json.dumps([code, time.monotonic() - began])
        sys.stderr.write(f"{_MARK}{verdict}{_MARK}")
    sys.stderr.flush()
    os._exit(0)


def _code_of(arguments: list[str]) -> int:
    try:
        app.app(args=arguments, prog_name="rivet", standalone_mode=False)
    except RivetError as error:
        return report_error(error, as_json=False, status=error.exit_status)
    except Exception as error:  # noqa: BLE001 - told as the command would tell a bug
        sys.stderr.write(f"Traceback: {type(error).__name__}: {error}\n")
        return 70
    return 0
