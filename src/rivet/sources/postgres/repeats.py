"""What PostgreSQL's catalog says of the functions and views that a query names.

A server's own functions say whether they are volatile; of a user's own function, STABLE and
IMMUTABLE are its author's word, so that the text of one in SQL or PL/pgSQL is looked at as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.model.relation import Doubt
from rivet.redact import visible
from rivet.sources.postgres.asked import asked
from rivet.sources.repeats import Definition

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

_FUNCTIONS: Final = """
    SELECT p.proname, p.provolatile::text, p.prokind::text, l.lanname, p.prosrc
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE p.proname = ANY (%s) AND (p.provolatile = 'v' OR p.oid >= 16384)"""
# By its name alone, in whatever schema: a view too many costs little.
_VIEWS: Final = """
    SELECT n.nspname, c.relname, pg_catalog.pg_get_viewdef(c.oid)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND c.relname = ANY (%(names)s)
      AND (n.nspname <> 'information_schema' OR n.nspname = ANY (%(names)s))"""
_WITH_TEXT: Final = frozenset({"sql", "plpgsql"})


@dataclass(frozen=True, slots=True)
class CatalogDefinitions:
    """See `Definitions` of `sources/repeats.py`."""

    connection: psycopg.Connection[Any]

    def functions(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return volatile functions, and the user's own ones."""
        for name, volatile, kind, language, text in asked(
            self.connection, _FUNCTIONS, (sorted(names),)
        ):
            label = f"the function {visible(name)}()"
            if volatile == "v":
                yield Definition(label, doubt=Doubt("gives another value each time (VOLATILE)"))
            elif kind == "a":
                yield Definition(label, doubt=Doubt("may depend on the order of rows (aggregate)"))
            elif language in _WITH_TEXT and volatile == "s":
                doubt = None if text else Doubt("has a body that cannot be looked at")
                yield Definition(label, text, doubt)

    def views(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return the views of these names."""
        found = asked(self.connection, _VIEWS, {"names": sorted(names)})
        return [
            Definition(f"view '{visible(f'{schema}.{name}')}'", text)
            for schema, name, text in found
        ]
