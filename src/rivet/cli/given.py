"""Command line as it was given: what commands that are printed, to be pasted, repeat of it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rivet.events import ExportFinished, Warned
from rivet.redact import MASK, redact
from rivet.ui.commands import runnable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rivet.events import Emit, Event

__all__ = ["flag", "note_config", "note_params", "option", "params_again", "pasteable", "telling"]

_SECRETIVE: Final = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)
_config: Final[list[str]] = []
_params: Final[dict[str, str]] = {}


def note_config(path: str) -> None:
    """Remember the configuration that the command line names, where no command would find it."""
    _config[:] = [path]


def note_params(params: Mapping[str, str]) -> None:
    """Remember the parameters of the command line."""
    _params.clear()
    _params.update(params)


def params_again() -> str:
    """Return the parameters as options; the value of one that may be a secret is masked."""
    return "".join(f" -p {shlex.quote(_shown(*item))}" for item in _params.items())


def _shown(name: str, value: str) -> str:
    shown = f"{name}={value}"
    is_secret = _SECRETIVE.search(name) is not None or redact(shown) != shown
    return f"{name}={MASK}" if is_secret else shown


def pasteable(text: str) -> str:
    """Return a text whose commands have the configuration and parameters of this command line."""
    return runnable(text, _config[0] if _config else None, params_again())


def telling(emit: Emit) -> Emit:
    """Return `emit`, for events whose hints and remarks have such commands."""

    def emit_pasteable(event: Event) -> None:
        if isinstance(event, Warned):
            event = replace(event, message=pasteable(event.message))
        elif isinstance(event, ExportFinished) and event.error_hint:
            event = replace(event, error_hint=pasteable(event.error_hint))
        emit(event)

    return emit_pasteable


def flag(name: str, *, is_given: bool) -> str:
    """Return a flag as it is written again; the empty string where it was not given."""
    return f" {name}" if is_given else ""


def option(name: str, value: object) -> str:
    """Return an option as it is written again; the empty string where it was not given."""
    return "" if value is None else f" {name}={shlex.quote(str(value))}"
