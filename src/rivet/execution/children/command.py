"""Command line and environment of a child process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError
from rivet.execution.children.context import VARIABLE as CONTEXT_VARIABLE
from rivet.execution.children.lifeline import VARIABLE as LIFELINE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rivet.execution.context import RunOptions

EVENTS_VARIABLE: Final = "RIVET_IPC_EVENTS"
COMMAND_VARIABLE: Final = "RIVET_CHILD_COMMAND"

FLAGS: Final = {
    "--validate": "validate",
    "--reconcile": "reconcile",
    "--resume": "resume",
    "--force": "force",
    "--fresh": "fresh",
}
"""What is passed on to a child, and the field of `RunOptions` it stands for."""


def program(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return what `RIVET_CHILD_COMMAND` puts in place of this program; None where it is not set.

    Raises:
        ConfigError: It is not a JSON array of strings.
    """
    text = environment.get(COMMAND_VARIABLE)
    if not text:
        return None
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        msg = f"{COMMAND_VARIABLE} is not a JSON array of strings"
        raise ConfigError(msg, hint=f"for example: {COMMAND_VARIABLE}='[\"rivet\"]'")
    return tuple(words)


def own_program() -> tuple[str, ...]:
    """Return this program: the interpreter, without the working directory on its path."""
    return (sys.executable, "-P", "-m", "rivet")


def command_line(
    words: tuple[str, ...], config: Path, export_name: str, options: RunOptions
) -> tuple[str, ...]:
    """Return the re-invocation for one export.

    Flags for running side by side are never passed on, nor is anything that may be secret.
    """
    given = (flag for flag, option in FLAGS.items() if getattr(options, option))
    return (*words, "run", "--config", str(config), "--export", export_name, *given)


def child_environment(
    environment: Mapping[str, str], *, context: int, lifeline: int
) -> dict[str, str]:
    """Return the child's environment: the parent's, and what makes it a child."""
    return {
        **environment,
        EVENTS_VARIABLE: "1",
        CONTEXT_VARIABLE: str(context),
        LIFELINE_VARIABLE: str(lifeline),
    }
