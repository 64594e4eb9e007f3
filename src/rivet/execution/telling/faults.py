"""Fault injection for the crash tests: end, stop or fail the process at a named event.

`RIVET_FAULT=<verb>@<event type>[:<n>]` acts at the n-th event of that type (from 0). Verbs:
`exit` (os._exit 137), `kill` (SIGKILL), `error` (raise a retryable source error) and `pause` (add
a line to the file named by `RIVET_FAULT_MARKER` and wait until it is gone). Without the variable
nothing here runs.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError, SourceInterruptedError
from rivet.events import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rivet.events import Emit, Event

VARIABLE: Final = "RIVET_FAULT"
MARKER: Final = "RIVET_FAULT_MARKER"
EXIT_CODE: Final = 137
_POLL_S: Final = 0.02
_NEVER_AGAIN: Final = 1 << 60


def with_faults(emit: Emit, env: Mapping[str, str]) -> Emit:
    """Return `emit`, or one that also acts on the fault the environment names.

    Raises:
        ConfigError: The variable names no verb or no event.
    """
    text = env.get(VARIABLE)
    if not text:
        return emit
    verb, _, place = text.partition("@")
    event_type, _, count = place.partition(":")
    act = _VERBS.get(verb)
    if act is None or event_type not in EVENT_TYPES or not (count or "0").isdigit():
        verbs, types = "|".join(_VERBS), "|".join(EVENT_TYPES)
        msg = f"{VARIABLE} is not <{verbs}>@<{types}>[:<n>]"
        raise ConfigError(msg)
    remaining = int(count or "0")

    def emit_and_act(event: Event) -> None:
        nonlocal remaining
        emit(event)
        if event.type != event_type:
            return
        remaining -= 1
        if remaining < 0:
            remaining = _NEVER_AGAIN
            act(Path(env.get(MARKER, "")))

    return emit_and_act


def _exit(_marker: Path) -> None:
    os._exit(EXIT_CODE)


def _kill(_marker: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _error(_marker: Path) -> None:
    msg = "a fault hook raised this error"
    raise SourceInterruptedError(msg)


def _pause(marker: Path) -> None:
    with suppress(FileNotFoundError):  # the pause is over before it began
        descriptor = os.open(marker, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b"%d\n" % os.getpid())
        os.close(descriptor)
    while marker.name and marker.exists():
        time.sleep(_POLL_S)


_VERBS: Final[dict[str, Callable[[Path], None]]] = {
    "exit": _exit,
    "kill": _kill,
    "error": _error,
    "pause": _pause,
}
