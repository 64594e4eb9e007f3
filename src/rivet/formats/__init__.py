"""The file formats: one module each, found by listing this package and loaded when asked for."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Final, cast

from rivet.errors import ConfigError

if TYPE_CHECKING:
    from rivet.formats.base import Format

__all__ = ["format_names", "load_format"]

_SEAM: Final = frozenset({"base"})


@cache
def format_names() -> tuple[str, ...]:
    """Return the registry names of all formats, sorted."""
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _SEAM)
    )


def load_format(name: str) -> Format:
    """Import a format's module.

    Raises:
        ConfigError: No such format; the hint names the nearest or lists all.
    """
    names = format_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known formats: {', '.join(names)}"
        msg = f"format '{name}' is not one this Rivet writes"
        raise ConfigError(msg, hint=hint, code="RIVET_CONFIG_UNKNOWN_FORMAT", format=name)
    return cast("Format", importlib.import_module(f"{__name__}.{name}"))
