"""Whether all that a relation is read from is seen in the instant of a transaction.

Only InnoDB's tables are. Others show what is written while they are read, also behind a view; what
a stored function reads, or a sequence gives, cannot be told.
"""

from __future__ import annotations

import re
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
_REWRITTEN: Final = 1003


def unproven_of(connection: Connection[Any], relation: Relation, *, is_mariadb: bool) -> str | None:
    """Return what a relation is read from that has no instant, for people; None is nothing.

    Raises:
        pymysql.Error: The connection failed, or the statement is refused.
    """
    if relation.table is not None:
        names = {(schema, name) for schema, name in ask(connection, _TABLE, place_of(relation))}
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


def _of_names(connection: Connection[Any], names: set[tuple[str, str]]) -> str | None:
    """Look at tables, and at what the views among them are made of."""
    seen: set[tuple[str, str]] = set()
    while names - seen:
        new = names - seen
        seen |= new
        kinds = {
            (schema, name): (kind, engine)
            for schema, name, kind, engine in ask(connection, _TABLES, _listed(new))
        }
        # A name that only stands for something else in a statement is no table, as a rule.
        for place in new & kinds.keys():
            if doubt := _of_table(place, *kinds[place]):
                return doubt
        views = {place for place in new & kinds.keys() if kinds[place][1] is None}
        definitions = ask(connection, _VIEWS, _listed(views)) if views else []
        for schema, name, text in definitions:
            if (schema, name) not in views:
                continue
            if not text:
                return f"what view '{visible(name)}' reads cannot be seen: grant SHOW VIEW"
            if doubt := _of_calls(connection, text):
                return doubt
            names = names | _pairs(text)
    return None


def _listed(names: set[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple({schema for schema, _ in names}), tuple({name for _, name in names})


def _of_table(place: tuple[str, str], kind: str, engine: str | None) -> str | None:
    label = visible(place[1])
    if kind == "SEQUENCE":
        return f"sequence '{label}' is in no transaction"
    if engine is None or engine.lower() == _ATOMIC:
        return None
    return f"table '{label}' is of {engine}, which has no snapshots"


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
