"""What DuckDB's catalog says of the functions, macros and views that a query names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.model.relation import Doubt
from rivet.redact import visible
from rivet.sources.repeats import Definition

if TYPE_CHECKING:
    from collections.abc import Iterable

_FUNCTIONS: Final = """
    SELECT function_name, bool_or(stability = 'VOLATILE'), string_agg(macro_definition, ' ; ')
    FROM duckdb_functions() WHERE stability = 'VOLATILE' OR macro_definition IS NOT NULL
    GROUP BY function_name"""
_VIEWS: Final = "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"


@dataclass(frozen=True, slots=True)
class CatalogDefinitions:
    """See `Definitions` of `sources/repeats.py`."""

    cursor: Any

    def functions(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return volatile functions, and macros with their text."""
        for name, is_volatile, text in self.cursor.execute(_FUNCTIONS).fetchall():
            if name.lower() in names:
                doubt = Doubt("gives another value each time") if is_volatile else None
                yield Definition(f"the function {visible(name)}()", text, doubt)

    def views(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return the views of these names."""
        lower = {name.lower() for name in names}
        for schema, name, text in self.cursor.execute(_VIEWS).fetchall():
            if name.lower() in lower:
                yield Definition(f"view '{visible(f'{schema}.{name}')}'", text)
