"""How large the tables of a SQLite file may be, from what can be read without a scan."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from rivet.sources.sqlite.catalog import estimated_rows, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.relation import Relation

_ROWID_NAMES: Final = ("rowid", "_rowid_", "oid")


def table_sizes(
    connection: sqlite3.Connection, relations: Sequence[Relation]
) -> tuple[int | None, ...]:
    """Return a number of rows per relation: what ANALYZE counted, else the greatest rowid.

    The rowid is good enough to sort by and for nothing else: rows are deleted, rowids are chosen.

    Returns:
        One per relation; None for queries, views, virtual tables, tables without rowid, and
        tables that are not there.
    """
    return tuple(_size(connection, relation) for relation in relations)


def _size(connection: sqlite3.Connection, relation: Relation) -> int | None:
    if relation.table is None or relation.schema not in {None, "main"}:
        return None
    # A virtual table has no page of its own, and its module may answer by a scan.
    sql = (
        "SELECT name FROM main.sqlite_master"
        " WHERE type = 'table' AND rootpage > 0 AND name = ? COLLATE NOCASE"
    )
    row = connection.execute(sql, (relation.table,)).fetchone()
    if row is None:
        return None
    (table,) = row
    rows = estimated_rows(connection, table)
    return rows if rows is not None else _greatest_rowid(connection, table)


def _greatest_rowid(connection: sqlite3.Connection, table: str) -> int | None:
    columns = connection.execute(f"PRAGMA main.table_xinfo({quoted(table)})").fetchall()
    taken = {name.lower() for _, name, *_ in columns}
    # A column of that name hides the rowid, and its maximum would be a scan.
    free = [name for name in _ROWID_NAMES if name not in taken]
    if not free:
        return None
    name = f"main.{quoted(table)}"
    try:
        (rowid,) = connection.execute(f"SELECT max({name}.{free[0]}) FROM {name}").fetchone()  # noqa: S608
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return None  # a table without rowid
    return max(rowid or 0, 0)
