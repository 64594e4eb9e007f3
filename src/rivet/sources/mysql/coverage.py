"""Whether all that a relation is read from is seen in the instant of a transaction.

Only InnoDB's tables are. Others show what is written while they are read, also behind a view; what
a stored function reads, or a sequence gives, cannot be told. The rows of some lie elsewhere, where
nothing holds them to what this server says of the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import ER
from pymysql.err import MySQLError

from rivet.redact import visible
from rivet.sources.mysql.catalog import PLACE, place_of, source_sql
from rivet.sources.mysql.faults import error_number
from rivet.sources.mysql.link import ask
from rivet.sources.mysql.overrides import dialect_of
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.connections import Connection

    from rivet.model.relation import Relation

_TABLE: Final = f"""
    SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE {PLACE}"""  # noqa: S608
_TABLES: Final = """
    SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, t.ENGINE FROM information_schema.TABLES t
    WHERE t.TABLE_SCHEMA IN %s AND t.TABLE_NAME IN %s"""
_VIEWS: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS
    WHERE TABLE_SCHEMA IN %s AND TABLE_NAME IN %s"""
_ROUTINES: Final = """
    SELECT ROUTINE_NAME FROM information_schema.ROUTINES
    WHERE ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_NAME IN %s LIMIT 1"""
# The server quotes names as its own mode is. One that begins inside another is none: looking for
# it at every quote would take quadratic time.
_NAMES: Final = {
    quote: rf"(?<!{quote}){quote}((?:[^{quote}]|{quote * 2})++){quote}" for quote in ("`", '"')
}
_PAIRS: Final = {quote: re.compile(rf"{name}\.{name}") for quote, name in _NAMES.items()}
_CALLS: Final = {quote: re.compile(rf"{name}\s*\(") for quote, name in _NAMES.items()}
_NOT_SHOWN: Final = frozenset(
    {
        ER.VIEW_NO_EXPLAIN,
        ER.SPECIFIC_ACCESS_DENIED_ERROR,
        ER.TABLEACCESS_DENIED_ERROR,
        ER.COLUMNACCESS_DENIED_ERROR,
    }
)
_ATOMIC: Final = "innodb"
ELSEWHERE: Final = ("CONNECT", "FEDERATED", "LAKEHOUSE", "SPHINX", "SPIDER")
"""Engines of tables whose rows another server or a file holds.

A NOT NULL or a key of theirs is a promise of whoever declared it, and what is sought by one is
looked for there.
"""
_REWRITTEN: Final = 1003


def unproven_of(connection: Connection[Any], relation: Relation, *, is_mariadb: bool) -> str | None:
    """Return what a relation is read from that has no instant, for people; None is nothing.

    Raises:
        pymysql.Error: The connection failed, or the statement is refused.
    """
    if relation.table is not None:
        names = {(schema, name) for schema, name in ask(connection, _TABLE, place_of(relation))}
        if not names:
            return f"of which engine '{visible(relation.label)}' is cannot be seen"
        return _of_names(connection, names)
    text = _rewritten(connection, relation, is_mariadb=is_mariadb)
    if text is None:
        return "what the query reads cannot be seen: grant SHOW VIEW, and SELECT on its tables"
    return _of_calls(connection, text) or _of_names(connection, _pairs(text))


def _rewritten(connection: Connection[Any], relation: Relation, *, is_mariadb: bool) -> str | None:
    """Return a query as the server resolves it; nothing is read. None where it is not shown.

    Source:
        MySQL manual, "Extended EXPLAIN Output Format".
    """
    source = source_sql(relation, dialect_of(connection))
    form = "EXTENDED" if is_mariadb else "FORMAT = TRADITIONAL"
    try:
        ask(connection, f"EXPLAIN {form} {select(['*'], source)}")
    except MySQLError as error:
        if error_number(error) not in _NOT_SHOWN:
            raise
        return None
    notes = ask(connection, "SHOW WARNINGS")
    return next((str(text) for _, number, text in notes if int(number) == _REWRITTEN), None)


def lies_elsewhere(connection: Connection[Any], relation: Relation) -> bool:
    """Whether a table, or one that a view reads, is of an engine of `ELSEWHERE`.

    Raises:
        pymysql.Error: The connection failed.
    """
    names = {(schema, name) for schema, name in ask(connection, _TABLE, place_of(relation))}
    return any((one.engine or "").upper() in ELSEWHERE for one in _behind(connection, names))


def _of_names(connection: Connection[Any], names: set[tuple[str, str]]) -> str | None:
    """Look at tables, and at what the views among them are made of."""
    for one in _behind(connection, names):
        if doubt := _of_table(one):
            return doubt
        if one.is_view and one.text and (doubt := _of_calls(connection, one.text)):
            return doubt
    return None


@dataclass(frozen=True, slots=True)
class _Member:
    """A table or a view that is read; a view has no engine, and no text where it is not shown."""

    name: str
    kind: str
    engine: str | None
    text: str | None = None

    @property
    def is_view(self) -> bool:
        return self.kind == "VIEW"


def _behind(connection: Connection[Any], names: set[tuple[str, str]]) -> Iterator[_Member]:
    """Yield the tables and views of these names, and whatever the views are made of."""
    seen: set[tuple[str, str]] = set()
    while new := names - seen:
        seen |= new
        new = new | {_as_listed(*place) for place in new}
        # A name that only stands for something else in a statement is no table, as a rule.
        found = {
            (schema, name): _Member(name, kind, engine)
            for schema, name, kind, engine in ask(connection, _TABLES, _listed(new))
            if (schema, name) in new
        }
        yield from (one for one in found.values() if not one.is_view)
        views = {place for place, one in found.items() if one.is_view}
        texts = dict.fromkeys(views, "")
        for schema, name, text in ask(connection, _VIEWS, _listed(views)) if views else ():
            if (schema, name) in views:
                texts[schema, name] = text or ""
        for place, text in texts.items():
            yield replace(found[place], text=text)
            names = names | _pairs(text)


def _as_listed(schema: str, name: str) -> tuple[str, str]:
    """Return the place of a table as the catalog has it: its own it finds in any case."""
    is_catalog = schema.lower() == "information_schema"
    return (schema.lower(), name.upper()) if is_catalog else (schema, name)


def _listed(names: set[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple({schema for schema, _ in names}), tuple({name for _, name in names})


def _of_table(one: _Member) -> str | None:
    label = visible(one.name)
    if one.is_view:
        return None if one.text else f"what view '{label}' reads cannot be seen: grant SHOW VIEW"
    if one.kind == "SEQUENCE":
        return f"sequence '{label}' is in no transaction"
    if one.engine is None:
        return f"table '{label}' is of no engine that is known to have snapshots"
    if one.engine.lower() == _ATOMIC:
        return None
    return f"table '{label}' is of {one.engine}, which has no snapshots"


def _of_calls(connection: Connection[Any], text: str) -> str | None:
    names = {
        name.replace(quote * 2, quote)
        for quote, pattern in _CALLS.items()
        for name in pattern.findall(text)
    }
    found = ask(connection, _ROUTINES, (tuple(names),)) if names else []
    return f"what function '{visible(found[0][0])}' reads is not known" if found else None


def _pairs(text: str) -> set[tuple[str, str]]:
    return {
        (schema.replace(quote * 2, quote), name.replace(quote * 2, quote))
        for quote, pattern in _PAIRS.items()
        for schema, name in pattern.findall(text)
    }
