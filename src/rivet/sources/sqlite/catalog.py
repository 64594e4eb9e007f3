"""What a SQLite file says of its tables, views and queries; never reads their rows.

Every function takes a connection of `connect.py` and leaves errors of the driver to the caller's
`translated` block.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rivet.errors import PlanError, SourceQueryError
from rivet.model.relation import Key, Relation, TableFacts
from rivet.redact import visible
from rivet.sources.dialect import Dialect
from rivet.sources.nearnames import table_hint
from rivet.sources.sql import single_statement
from rivet.sources.sqlite.types import Declared

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

DIALECT: Final = Dialect(has_brackets=True, picks_in_groups=True)
_HIDDEN: Final = 1
_DOUBLED = re.compile(r"^(?P<base>.*):\d+$", re.DOTALL)
_VIEW: Final = "rivet_described_query"


def quoted(name: str) -> str:
    """Quote an identifier.

    Always qualify it as well: SQLite reads a quoted name that it cannot find as a text literal.
    """
    return '"' + name.replace('"', '""') + '"'


def source_sql(relation: Relation) -> str:
    """Return what stands in a FROM clause for the relation."""
    if relation.query is not None:
        # The line feed ends a comment at the end of the query.
        return f"(\n{single_statement(relation.query, DIALECT)}\n)"
    return f"main.{quoted(relation.table or '')}"


def columns_of(connection: sqlite3.Connection, relation: Relation) -> tuple[Declared, ...]:
    """List the columns of a relation with their declared types.

    A query is described by a temporary view of it, the one place where SQLite says which of a
    query's columns are plain table columns and how those were declared. The temporary database is
    private to the connection; the file itself is open read-only throughout.

    Raises:
        SourceQueryError: No such table, or a name in another schema than `main`.
        PlanError: Two columns of a query share a name.
    """
    if relation.query is not None:
        return _columns_of_query(connection, relation)
    check_table(connection, relation)
    found = _table_info(connection, "main", relation.table or "")
    if _is_view(connection, relation.table or ""):
        _refuse_doubled(found, relation.label)
    return found


def _columns_of_query(connection: sqlite3.Connection, relation: Relation) -> tuple[Declared, ...]:
    with _temporary_view(connection, relation):
        found = _table_info(connection, "temp", _VIEW)
    _refuse_doubled(found, "query")
    return found


def _refuse_doubled(found: Sequence[Declared], label: str) -> None:
    """Refuse names that SQLite takes for the same and makes others of, such as `A:1` beside `a`.

    Raises:
        PlanError: They are named.
    """
    names = {one.name.lower() for one in found}
    doubled = [
        match["base"]
        for one in found
        if (match := _DOUBLED.match(one.name)) and match["base"].lower() in names
    ]
    if doubled:
        listed = ", ".join(f"'{visible(name)}'" for name in dict.fromkeys(doubled))
        msg = f"{visible(label)}: more than one column is named {listed}, in any letter case"
        raise PlanError(msg, hint="give each column its own name with AS")


def _is_view(connection: sqlite3.Connection, table: str) -> bool:
    sql = "SELECT 1 FROM main.sqlite_master WHERE type = 'view' AND lower(name) = lower(?)"
    return connection.execute(sql, (table,)).fetchone() is not None


@contextmanager
def _temporary_view(connection: sqlite3.Connection, relation: Relation) -> Iterator[None]:
    connection.execute("PRAGMA query_only = OFF")
    try:
        sql = f"CREATE TEMP VIEW {_VIEW} AS SELECT * FROM {source_sql(relation)}"  # noqa: S608
        connection.execute(sql)
        try:
            yield
        finally:
            connection.execute(f"DROP VIEW temp.{_VIEW}")
    finally:
        connection.execute("PRAGMA query_only = ON")


def _table_info(connection: sqlite3.Connection, schema: str, table: str) -> tuple[Declared, ...]:
    rows = connection.execute(f"PRAGMA {schema}.table_xinfo({quoted(table)})").fetchall()
    alias = _rowid_alias(connection, schema, table, rows)
    return tuple(
        Declared(
            name=name,
            type=declared or "",
            is_nullable=not is_not_null and name != alias,
            key_ordinal=key_ordinal,
        )
        for _, name, declared, is_not_null, _, key_ordinal, hidden in rows
        if hidden != _HIDDEN
    )


def _rowid_alias(
    connection: sqlite3.Connection, schema: str, table: str, rows: Sequence[tuple[Any, ...]]
) -> str | None:
    """Return the column that is the rowid, which is never NULL; None without one.

    Any other column of a primary key may hold NULL, unless it says NOT NULL as well. That is so for
    `INTEGER PRIMARY KEY DESC` too, which has an index of its own, as the rowid has not.

    Source:
        SQLite manual, "Rowid Tables" and "CREATE TABLE", ROWIDs and the INTEGER PRIMARY KEY.
    """
    primary = [row[1] for row in rows if row[5]]
    if len(primary) != 1:
        return None
    indexes = connection.execute(f"PRAGMA {schema}.index_list({quoted(table)})").fetchall()
    return None if any(origin == "pk" for *_, origin, _ in indexes) else str(primary[0])


def check_table(connection: sqlite3.Connection, relation: Relation) -> None:
    """Make sure that a table or view exists.

    Raises:
        SourceQueryError: It does not; the hint names near ones.
    """
    if relation.schema not in {None, "main"}:
        msg = f"{relation.label}: a SQLite file has only the schema 'main'"
        raise SourceQueryError(msg, hint=_table_hint(connection, Relation(table=relation.table)))
    names = _names(connection)
    wanted = (relation.table or "").lower()
    if wanted in {"sqlite_master", "sqlite_schema"} or wanted in {n.lower() for n in names}:
        return
    hint = _table_hint(connection, relation)
    msg = f"no table or view '{visible(relation.label)}' in the database"
    code = "RIVET_SOURCE_TABLE_NOT_FOUND"
    raise SourceQueryError(msg, hint=hint, code=code, table=relation.table)


def _table_hint(connection: sqlite3.Connection, relation: Relation) -> str:
    names = _names(connection)
    otherwise = "check the name and the file" if names else "the database has no tables"
    known = [(relation.schema, name) for name in names]
    return table_hint(relation, known, otherwise=otherwise)


def name_of(connection: sqlite3.Connection, relation: Relation) -> str:
    """Return a table's name as the catalog spells it; names are the same in any letter case."""
    wanted = (relation.table or "").lower()
    return next((name for name in _names(connection) if name.lower() == wanted), wanted)


def _names(connection: sqlite3.Connection) -> list[str]:
    sql = "SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    return [name for (name,) in connection.execute(sql)]


def facts_of(connection: sqlite3.Connection, relation: Relation) -> TableFacts:
    """Read a table's key, and its row estimate where ANALYZE has left one.

    `max(rowid)` is no estimate: rows are deleted and rowids are chosen.

    Raises:
        SourceQueryError: No such table.
    """
    if relation.table is None:
        return TableFacts()
    declared = columns_of(connection, relation)
    key = sorted((one for one in declared if one.key_ordinal), key=lambda one: one.key_ordinal)
    return replace(
        _keys(connection, relation.table, declared),
        estimated_rows=estimated_rows(connection, relation.table),
        key=tuple(one.name for one in key),
    )


def _keys(connection: sqlite3.Connection, table: str, declared: Sequence[Declared]) -> TableFacts:
    """Return a table's keys, the primary one first, and the columns that an index begins with."""
    never_null = {one.name for one in declared if not one.is_nullable}
    found: dict[tuple[str, ...], bool] = {}
    alias = next((one.name for one in declared if one.key_ordinal and not one.is_nullable), None)
    names = [row[1:5] for row in connection.execute(f"PRAGMA main.index_list({quoted(table)})")]
    if alias is not None and "pk" not in {origin for _, _, origin, _ in names}:
        found[alias,] = True
    else:
        alias = None
    for name, is_unique, _, is_partial in sorted(names, key=lambda row: row[2] != "pk"):
        info = connection.execute(f"PRAGMA main.index_xinfo({quoted(name)})").fetchall()
        columns = tuple(row[2] for row in info if row[5])
        if not columns or is_partial or None in columns:
            continue
        found[columns] = bool(found.get(columns) or is_unique)
    keys = tuple(
        # Any other column may hold any kind of value.
        Key(columns, is_integer=columns == (alias,))
        for columns, is_unique in found.items()
        if is_unique and never_null >= set(columns)
    )
    return TableFacts(
        keys=keys,
        nullable_keys=tuple(
            columns
            for columns, is_unique in found.items()
            if is_unique and not never_null >= set(columns)
        ),
        indexed=tuple(dict.fromkeys(columns[0] for columns in found)),
    )


def estimated_rows(connection: sqlite3.Connection, table: str) -> int | None:
    """Return the rows that ANALYZE counted in a table; None where it was not run."""
    has_stat = "SELECT 1 FROM main.sqlite_master WHERE name = 'sqlite_stat1'"
    if connection.execute(has_stat).fetchone() is None:
        return None
    sql = "SELECT stat FROM main.sqlite_stat1 WHERE tbl = ? COLLATE NOCASE"
    stats: Sequence[tuple[str | None]] = connection.execute(sql, (table,)).fetchall()
    counts = [int(first) for (stat,) in stats if stat and (first := stat.split()[0]).isdigit()]
    # An index on part of the rows counts only those, so the largest count is the table's.
    return max(counts, default=None)
