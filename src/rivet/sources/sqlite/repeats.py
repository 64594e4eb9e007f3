"""What SQLite says of the functions and views that a query names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.model.relation import Doubt
from rivet.redact import visible
from rivet.sources.repeats import Definition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_DETERMINISTIC: Final = 0x800
# Aggregates and window functions do not say; those that matter are known by name.
_FUNCTIONS: Final = """
    SELECT DISTINCT lower(name) FROM pragma_function_list WHERE type = 's' AND NOT flags & ?"""
_VIEWS: Final = "SELECT name, sql FROM main.sqlite_master WHERE type = 'view'"


@dataclass(frozen=True, slots=True)
class CatalogDefinitions:
    """See `Definitions` of `sources/repeats.py`."""

    connection: sqlite3.Connection

    def functions(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return functions that may give another value each time."""
        for (name,) in self.connection.execute(_FUNCTIONS, (_DETERMINISTIC,)).fetchall():
            if name in names:
                doubt = Doubt("may give another value each time")
                yield Definition(f"the function {visible(name)}()", doubt=doubt)

    def views(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return the views of these names."""
        lower = {name.lower() for name in names}
        for name, text in self.connection.execute(_VIEWS).fetchall():
            if name.lower() in lower:
                yield Definition(f"view '{visible(name)}'", text)
