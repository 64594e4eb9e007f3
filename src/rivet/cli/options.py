"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rivet.errors import ConfigError

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)
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


def parse_params(items: list[str] | None) -> dict[str, str]:
    """Return the parameters as a mapping.

    Raises:
        ConfigError: One has no `=` or no name.
    """
    params: dict[str, str] = {}
    for item in items or []:
        key, separator, value = item.partition("=")
        if not separator or not key:
            msg = "--param needs KEY=VALUE"
            hint = "for example: -p day=2024-01-31"
            raise ConfigError(msg, hint=hint, code="RIVET_CLI_VALUE_INVALID")
        params[key] = value
    return params
