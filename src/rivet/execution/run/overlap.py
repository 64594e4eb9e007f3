"""Lock of an export: whether a run waits for another run of its export, and how long."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError
from rivet.state.locks import export_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rivet.config.models import ExportConfig
    from rivet.execution.context import RunContext

LOCK_WAIT: Final = "RIVET_LOCK_WAIT"
_INVALID: Final = "RIVET_CLI_VALUE_INVALID"


@contextmanager
def export_held(export: ExportConfig, context: RunContext) -> Iterator[None]:
    """Hold the export alone while the body runs, after waiting as long as was asked for.

    Raises:
        ConfigError: `RIVET_LOCK_WAIT` is no number of seconds.
        RefusedError: Another process holds it, and nobody asked to wait.
        StateLockedError: Another process still held it when the wait was over.
        StateError: The lock cannot be made.
        KeyboardInterrupt: It was asked to stop while it waited.
    """
    limit_s = lock_wait_s(context.env)
    with export_lock(
        context.state,
        export.name,
        wait=export.on_overlap == "wait" if limit_s is None else limit_s > 0,
        timeout_s=limit_s,
        sleep=time.sleep if context.stop is None else context.stop.sleep,
    ):
        yield


def lock_wait_s(env: Mapping[str, str]) -> float | None:
    """Return how long all exports wait for another run of theirs; None where each says it itself.

    Raises:
        ConfigError: It is no number of seconds from 0.
    """
    text = env.get(LOCK_WAIT)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        msg = f"{LOCK_WAIT} (`--lock-wait`) is not a number of seconds from 0"
        raise ConfigError(msg, hint=f"for example: {LOCK_WAIT}=600", code=_INVALID)
    return seconds
