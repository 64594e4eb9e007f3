"""Commands inside hints, made to be pasted: with the configuration that they are for."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

__all__ = ["Again", "runnable"]

_COMMAND: Final = re.compile(
    r"\brivet (?:run|files|prune|backfill|repair|state (?:reset|accept|import))\b(?! -[cp] )"
)


@dataclass(frozen=True, slots=True)
class Again:
    """What a command that goes on repeats of the one that was given.

    Attributes:
        command: Its name.
        params: The parameters, as options; every command takes them.
        options: Options that change what a run promises, as they are written.
        parallel: How many exports at once, as it is written; empty where the configuration says it.
        resumes: Whether the command can take up a run where it ended.
    """

    command: str = "run"
    params: str = ""
    options: str = ""
    parallel: str = ""
    resumes: bool = True


def runnable(hint: str, config: str | None, params: str = "") -> str:
    """Return a hint whose commands name the configuration that they are about.

    Args:
        hint: As an error has it.
        config: The file, None where a command finds it by itself.
        params: Its parameters, as options.
    """
    named = params if config is None else f" -c {shlex.quote(config)}{params}"
    return _COMMAND.sub(lambda found: found.group() + named, hint)
