"""The engines: one folder each, found through this table and loaded only when asked for.

Nobody outside this package imports an engine's insides.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, cast

from rivet.errors import MissingExtraError, UnknownEngineError

if TYPE_CHECKING:
    from rivet.sources.base import Engine

__all__ = ["ENGINES", "EngineRef", "canonical_engine", "load_engine"]


@dataclass(frozen=True, slots=True)
class EngineRef:
    """Where an engine lives, what it needs, and the other names it goes by."""

    module: str
    extra: str | None = None
    aliases: tuple[str, ...] = ()


ENGINES: Final[dict[str, EngineRef]] = {
    "postgresql": EngineRef("rivet.sources.postgres", aliases=("postgres",)),
    "sqlite": EngineRef("rivet.sources.sqlite"),
    "duckdb": EngineRef("rivet.sources.duckdb", extra="duckdb"),
    "mysql": EngineRef("rivet.sources.mysql", aliases=("mariadb",)),
}


def canonical_engine(name: str) -> str:
    """Return the registry name of an engine, given it or an alias.

    Raises:
        UnknownEngineError: No such engine; the hint names the nearest or lists all.
    """
    for canonical, ref in ENGINES.items():
        if name == canonical or name in ref.aliases:
            return canonical
    near = get_close_matches(name, ENGINES, n=1)
    known = ", ".join(sorted(ENGINES))
    hint = f"did you mean '{near[0]}'?" if near else f"known engines: {known}"
    msg = f"source type '{name}' is not an engine this Rivet has"
    raise UnknownEngineError(msg, hint=hint, engine=name)


def load_engine(name: str) -> Engine:
    """Import an engine's package.

    Raises:
        UnknownEngineError: No such engine.
        MissingExtraError: Its driver is not installed; the hint is the command that installs it.
    """
    ref = ENGINES[canonical_engine(name)]
    try:
        return cast("Engine", importlib.import_module(ref.module))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("rivet"):
            raise
        extra = f"pyrivet[{ref.extra}]" if ref.extra else "pyrivet"
        msg = f"engine '{name}' needs the package '{error.name}', which is not installed"
        raise MissingExtraError(msg, hint=f"run: pip install '{extra}'", engine=name) from error
