"""Commands inside hints, made to be pasted: with the configuration that they are for."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["named_config", "runnable"]

_DEFAULT: Final = "rivet.yaml"
_COMMAND: Final = re.compile(
    r"\brivet (?:run|files|prune|backfill|repair|state (?:reset|accept|import))\b(?! -c )"
)
_OPTIONS: Final = ("-c", "--config")


def runnable(hint: str, config: str | None) -> str:
    """Return a hint whose commands name the configuration that they are about.

    Args:
        hint: As an error has it.
        config: The file, None where a command finds it by itself.
    """
    if config is None:
        return hint
    named = f" -c {shlex.quote(config)}"
    return _COMMAND.sub(lambda found: found.group() + named, hint)


def named_config(arguments: Sequence[str]) -> str | None:
    """Return the configuration that a command line names; None where it needs no name."""
    found = None
    for place, argument in enumerate(arguments):
        if argument in _OPTIONS and place + 1 < len(arguments):
            found = arguments[place + 1]
        elif argument.startswith("--config="):
            found = argument.partition("=")[2]
    return None if found == _DEFAULT else found
