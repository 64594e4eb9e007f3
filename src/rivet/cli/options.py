"""Options that several commands share."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rivet.cli.given import flag, note_config, note_params, option
from rivet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_THREADS: Final = "--parallel-exports"
_PROCESSES: Final = "--parallel-export-processes"
_AUTO: Final = "auto"
_AMOUNTS: Final = {_AUTO: True, "true": True, "false": False}
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}\Z")
_STRAY_AMOUNT: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?\Z|(auto|true|false)\Z")
_INVALID: Final = "RIVET_CLI_VALUE_INVALID"


class ProgressStyle(StrEnum):
    """How a run shows what happens, on standard error."""

    AUTO = "auto"
    CARDS = "cards"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"


def configured() -> Path:
    """Return the configuration that is meant where none is named."""
    return Path(os.environ.get("RIVET_CONFIG") or "rivet.yaml")


def _named(context: typer.Context, path: Path) -> Path:
    """Note a configuration that was named in any form, unless it is the one found without."""
    source = context.get_parameter_source("config")
    if source is not None and source.name == "COMMANDLINE" and path != configured():
        note_config(str(path))
    return path


ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        help="The configuration file; without it that of RIVET_CONFIG, or rivet.yaml in this "
        "folder.",
        default_factory=configured,
        callback=_named,
        show_default=False,
    ),
]
ExportsOption = Annotated[
    list[str] | None,
    typer.Option("--export", "-e", help="Only this export; repeatable.", show_default=False),
]
ParamsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="KEY=VALUE",
        help="Value for ${KEY} in the configuration; repeatable.",
        show_default=False,
    ),
]
ValidateOption = Annotated[
    bool,
    typer.Option(
        "--validate",
        help="Count each part again before publishing it, and check the manifest after.",
    ),
]
ReconcileOption = Annotated[
    bool,
    typer.Option(
        "--reconcile",
        help="Count the rows in the source too, in the instant that was read, and end with 3 where "
        "the files hold another number. Includes --validate.",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on where an interrupted run stopped, if its mode can; `full` begins anew.",
    ),
]
FreshOption = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Begin incremental exports anew, whatever they remember of earlier runs."
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="With --resume: run exports that are complete anew, too."),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail instead of warning where the run cannot promise something of its rows; as "
        "`strict: true` in every export.",
    ),
]
LockWaitOption = Annotated[
    float | None,
    typer.Option(
        "--lock-wait",
        metavar="SECONDS",
        min=0,
        help="Wait at most so long for another run of the same export, whatever `on_overlap` "
        "says; 0 not at all. RIVET_LOCK_WAIT is the same.",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    str | None,
    typer.Option(
        _THREADS,
        metavar="[=N]",
        help="Run exports side by side in threads, at most N at once; without N twice the "
        "processors. =false: one after another, whatever the configuration says.",
        show_default=False,
    ),
]
ProcessesOption = Annotated[
    str | None,
    typer.Option(
        _PROCESSES,
        metavar="[=N]",
        help="Run each export in a process of its own, at most N at once, the largest tables "
        "first; N as above.",
        show_default=False,
    ),
]
ProgressOption = Annotated[
    ProgressStyle,
    typer.Option(
        "--progress",
        help="What to show on standard error: cards that are drawn anew, plain lines, one JSON "
        "line for every event, or none; auto: cards on a terminal, else plain.",
    ),
]


def run_environment(lock_wait: float | None) -> Mapping[str, str]:
    """Return the environment of a run, and of its children, with what options put into it."""
    return os.environ if lock_wait is None else {**os.environ, "RIVET_LOCK_WAIT": f"{lock_wait:g}"}


def with_amounts(arguments: Sequence[str]) -> list[str]:
    """Write `--parallel-exports` as `--parallel-exports=auto`, and the other such option too.

    Their value is optional and stands behind `=` only: the parser would take the next argument.

    Raises:
        ConfigError: A number follows after a blank.
    """
    written: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*written, *arguments[place:]]
        if argument not in {_THREADS, _PROCESSES}:
            written.append(argument)
            continue
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        if _STRAY_AMOUNT.match(following):
            msg = f"{argument} takes its number behind =, not after a blank"
            raise ConfigError(msg, hint=f"write {argument}={following}", code=_INVALID)
        written.append(f"{argument}={_AUTO}")
    return written


def parse_parallel(text: str | None) -> bool | int | None:
    """Read the value of an option such as `--parallel-exports`.

    Returns:
        How many exports may run at once; True for as many as is sensible, False for one after
        another, None where the option was not given.

    Raises:
        ConfigError: It is no number from 1.
    """
    if text is None or text in _AMOUNTS:
        return None if text is None else _AMOUNTS[text]
    if not _NUMBER.match(text):
        msg = f"'{text[:20]}' is not a number of exports that can run at once"
        hint = f"give a whole number from 1, such as {_PROCESSES}=4, or leave the number out"
        raise ConfigError(msg, hint=hint, code=_INVALID)
    return int(text)


def parse_params(items: list[str] | None) -> dict[str, str]:
    """Return the parameters as a mapping.

    Raises:
        ConfigError: One has no `=` or no name.
    """
    params: dict[str, str] = {}
    for item in items or []:
        key, separator, value = item.partition("=")
        if not separator or not key:
            # What is no name may be a value, and a secret.
            named = f" after '{item}'" if item.isidentifier() and item.isascii() else ""
            msg = f"--param needs KEY=VALUE, and has no ={named}"
            if separator:
                msg = "--param needs KEY=VALUE, and has no KEY before its ="
            hint = "for example: -p day=2024-01-31"
            raise ConfigError(msg, hint=hint, code=_INVALID)
        params[key] = value
    note_params(params)
    return params


def parallel_again(threads: str | None, processes: str | None) -> str:
    """Return how many exports run at once as it was given: with its number, if it had one."""
    given = ((_THREADS, threads), (_PROCESSES, processes))
    return "".join(
        flag(name, is_given=True) if value in {_AUTO, "true"} else option(name, value)
        for name, value in given
    )
