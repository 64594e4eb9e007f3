"""End a command at one step of the end of a run: before or after a call that changes something.

The command runs as always, in a process of its own that has taken one method and put the end in
front of it or behind it. Steps are the calls themselves, so that a new one is a new line here.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rivet.errors import DestinationUnavailableError, RivetError, StateLockedError
from support import warm
from support.cli import TIMEOUT_S, Outcome

if TYPE_CHECKING:
    from support.cli import Rivet

VARIABLE = "RIVET_TEST_STEP"
MARKER = "RIVET_TEST_STEP_MARKER"
_STORE = "rivet.state.store:StateStore"
_LOCAL = "rivet.destinations.local:LocalDestination"

# Where the method is, its name, whether the end comes after it, and of which calls it is.
STEPS: dict[str, tuple[str, str, bool, Callable[..., bool]]] = {
    "before intend": (_STORE, "intend", False, lambda *_: True),
    "after intend": (_STORE, "intend", True, lambda *_: True),
    "run's manifest": (_LOCAL, "put_bytes", True, lambda *told: told[2].startswith("manifest-")),
    "manifest": (_LOCAL, "put_bytes", True, lambda *told: told[2] == "manifest.json"),
    "_SUCCESS": (_LOCAL, "put_bytes", True, lambda *told: told[2] == "_SUCCESS"),
    "before finish": (_STORE, "finish", False, lambda *told: len(told) == 4),
    "after finish": (_STORE, "finish", True, lambda *told: len(told) == 4),
    "first file pruned": (_LOCAL, "remove", True, lambda *_: True),
    "before forget": (_STORE, "forget_parts", False, lambda *_: True),
    "after prune": (_STORE, "forget_parts", True, lambda *_: True),
    "before report": ("rivet.execution.many.one_export", "write_run_files", False, lambda *_: True),
    "before words": ("rivet.cli.words", "_print_words", False, lambda *_: True),
}
PRUNING = ("first file pruned", "before forget", "after prune")
TELLING = ("before report", "before words")
RECORDED = ("after finish", *PRUNING, *TELLING)
# Exit codes of those that end the process, whatever it does about it.
ENDS = {"kill": -9, "exit": 137, "interrupt": 130, "terminate": 143}


def run_to(
    rivet: Rivet, step: str, way: str, *arguments: str | Path, env: dict[str, str] | None = None
) -> Outcome:
    """Run a command that ends at a step in some way: of `ENDS`, `error`, or `pause`."""
    told = {VARIABLE: f"{way}@{step}", **(env or {})}
    texts = [str(argument) for argument in arguments]
    environment = {**rivet.environment, **told}
    ended = warm.server().run(
        texts, rivet.directory, environment, TIMEOUT_S, entry="support.steps:main"
    )
    return Outcome(ended.code, ended.stdout, ended.stderr)


def _error(place: str) -> RivetError:
    if place == _LOCAL:
        return DestinationUnavailableError("the destination is away, as a test asked for")
    return StateLockedError("the state is away, as a test asked for")


def _act(way: str, place: str) -> None:
    if way == "error":
        raise _error(place)
    if way == "exit":
        os._exit(ENDS["exit"])
    if way == "pause":
        marker = Path(os.environ[MARKER])
        marker.with_suffix(".new").write_text(str(os.getpid()))
        marker.with_suffix(".new").replace(marker)  # whoever waits for it finds it whole
        while marker.exists():
            time.sleep(0.02)
        return
    number = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT, "terminate": signal.SIGTERM}[way]
    os.kill(os.getpid(), number)
    time.sleep(0)  # a handler runs between two instructions of this thread


def _arm(way: str, step: str) -> None:
    import importlib

    place, name, is_after, concerns = STEPS[step]
    module, _, owner = place.partition(":")
    holder = importlib.import_module(module)
    if owner:
        holder = getattr(holder, owner)
    real = getattr(holder, name)
    left = [None]

    def wrapped(*told: Any, **named: Any) -> Any:
        is_it = bool(left) and concerns(*told)
        if is_it and not is_after:
            left.clear()
            _act(way, place)
        result = real(*told, **named)
        if is_it and is_after:
            left.clear()
            _act(way, place)
        return result

    setattr(holder, name, wrapped)


def main() -> None:
    """Be the command, armed."""
    way, _, step = os.environ.pop(VARIABLE).partition("@")
    _arm(way, step)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    from rivet.__main__ import main as command

    command()
