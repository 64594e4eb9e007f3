"""Child side of a fork: what makes a forked process equal to a plain start of the same command.

It ends with the same working directory, environment, arguments, descriptors, standard streams,
signal dispositions, session and name. What remains different: its parent is the fork server, and
it is killed when that dies, so that no child runs whose end nobody would be told.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import io
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import setproctitle

from rivet.execution.children.forkwire import ENTRY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.execution.children.forkserver import Birth

__all__ = ["become"]

_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG


def become(birth: Birth) -> None:
    """Turn this process into the one that was ordered; afterwards its entry point may run.

    Raises:
        OSError: The working directory may not be entered, or descriptors ran out.
    """
    _die_with(birth.server_pid)
    os.setsid()
    _place(birth.descriptors, birth.numbers, birth.directory)
    if birth.sigchld is not None:
        signal.signal(signal.SIGCHLD, birth.sigchld)
    _set_environment(birth.environment)
    _name(birth.command)
    sys.argv = [str(Path(sys.modules["rivet"].__path__[0], "__main__.py"))]
    sys.argv += birth.command[1 + len(ENTRY) :]
    sys.orig_argv[:] = birth.command


def _die_with(server_pid: int) -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server_pid:  # it died before the call above
        os._exit(1)


def _place(descriptors: Sequence[int], numbers: Sequence[int], directory: int) -> None:
    """Put every descriptor at its number, enter the directory, close all else."""
    free = max(*numbers, 2) + 1
    # First out of each other's way: a descriptor may stand where another is to go.
    copies = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, free) for number in descriptors]
    os.fchdir(directory)
    for copy, number in zip(copies, numbers, strict=True):
        os.dup2(copy, number)
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - only their names
        if number not in {0, 1, 2, *numbers}:
            with contextlib.suppress(OSError):  # that of the listing is closed already
                os.close(number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = _stream(number, getattr(sys, name))
        vars(sys).update({name: stream, f"__{name}__": stream})


def _stream(number: int, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """Open a standard stream as the interpreter does at its start, with its settings."""
    raw = io.FileIO(number, "w", closefd=False)
    raw.name = like.name
    is_error = number == sys.stderr.fileno()
    stream = io.TextIOWrapper(
        raw if like.write_through else io.BufferedWriter(raw),
        encoding=like.encoding,
        errors=like.errors,
        newline="\n",
        line_buffering=is_error or raw.isatty(),
        write_through=like.write_through,
    )
    stream.mode = "w"  # type: ignore[misc]  # as the interpreter does
    return stream


def _set_environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _name(command: Sequence[str]) -> None:
    """Show the command line in `ps`, and the program's name where only that is shown."""
    setproctitle.setproctitle(shlex.join(command))
    setproctitle.setthreadtitle(Path(command[0]).name)
