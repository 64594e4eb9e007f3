"""The hint of a table that is not there: "did you mean" names near to it (fuzzy matching)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.model.relation import Relation

__all__ = ["near_tables", "table_hint"]

_MOST_NEAR: Final = 3
_MOST_LISTED: Final = 10


def table_hint(
    relation: Relation, known: Iterable[tuple[str | None, str]], *, otherwise: str
) -> str:
    """Return what a user should try who named a table that is not there.

    Args:
        relation: What was named.
        known: Schema and name of the tables and views that are there; the schema is None where a
            table is found without one.
        otherwise: What is said where there is no table at all, or too many to list.
    """
    tables = list(known)
    if near := near_tables(relation, tables):
        return f"did you mean {' or '.join(near)}?"
    if 0 < len(tables) <= _MOST_LISTED:
        return f"the database has: {', '.join(_written(*one) for one in tables)}"
    return otherwise


def near_tables(relation: Relation, known: Iterable[tuple[str | None, str]]) -> list[str]:
    """Return the names near to a table's, the nearest first, each as `table:` takes it.

    A table of the same name in another schema is nearest, then those of the schema that was
    named, then any. Letter case does not count.
    """
    tables = list(known)
    schema, wanted = (relation.schema or "").lower(), (relation.table or "").lower()
    same = [one for one in tables if one[1].lower() == wanted]
    within = [one for one in tables if schema and (one[0] or "").lower() == schema]
    near = [
        *(same if len(same) <= _MOST_NEAR else []),
        *_close(wanted, {one[1].lower(): one for one in within}),
        *_close(wanted, {one[1].lower(): one for one in tables}),
    ]
    near = near or _close(relation.label.lower(), {_label(*one).lower(): one for one in tables})
    return [_written(*one) for one in dict.fromkeys(near)][:_MOST_NEAR]


def _close(wanted: str, tables: dict[str, tuple[str | None, str]]) -> list[tuple[str | None, str]]:
    return [tables[name] for name in get_close_matches(wanted, tables, n=_MOST_NEAR)]


def _label(schema: str | None, name: str) -> str:
    return name if schema is None else f"{schema}.{name}"


def _written(schema: str | None, name: str) -> str:
    parts = [name] if schema is None else [schema, name]
    written = ".".join(_quoted(part) if {".", '"'} & set(part) else part for part in parts)
    return f"'{visible(written)}'"


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'
