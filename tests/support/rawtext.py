"""A plain client of a PostgreSQL server: results as the text that libpq receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import pq

if TYPE_CHECKING:
    from support.databases import PostgresDatabase

Row = tuple[str | None, ...]


def raw_rows(database: PostgresDatabase, query: str, options: str = "") -> list[Row]:
    """Return the rows of a query as the server prints them for this role, without any conversion.

    Args:
        database: Where to ask, as its owner; nothing is set but what `options` say.
        query: One SELECT.
        options: Such as `-c TimeZone=UTC`.
    """
    with psycopg.connect(database.url, client_encoding="utf8", options=options) as connection:
        result = connection.pgconn.exec_(query.encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result)
        cells = [
            [result.get_value(row, place) for place in range(result.nfields)]
            for row in range(result.ntuples)
        ]
    return [tuple(None if cell is None else cell.decode() for cell in row) for row in cells]
