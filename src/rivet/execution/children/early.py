"""Early preloading of modules, for child processes that are forked soon.

The server's imports are the longest part of a short run, so they begin first. Imports as little as
it can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.execution.children.forkprocess import ServerProcess

_FLAG: Final = "--parallel-export-processes"
_ELSEWHERE: Final = ("RIVET_CHILD_COMMAND", "RIVET_IPC_EVENTS")
_started: list[ServerProcess] = []


def begin(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start a fork server where the command line will need one; a wrong guess costs little."""
    if not any(word == _FLAG or word.startswith(f"{_FLAG}=") for word in arguments):
        return
    is_alone = sum(word in {"-e", "--export"} for word in arguments) == 1
    if is_alone or any(environment.get(name) for name in _ELSEWHERE):
        return
    from rivet.execution.children.forkprocess import ServerProcess, is_available

    if is_available():
        try:
            _started.append(ServerProcess.start((), environment))
        except OSError:
            return  # whoever needs it tries again, and tells


def take() -> ServerProcess | None:
    """Return the server that was started; None where there is none, or it was taken before."""
    return _started.pop() if _started else None
