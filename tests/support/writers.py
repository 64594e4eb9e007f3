"""Connections of somebody else to a database under test."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql


def connect(engine: str, database: Any, *, autocommit: bool = True, admin: bool = False) -> Any:
    """Open a connection by a driver; every statement its own transaction unless told otherwise."""
    url = database.admin_url if admin else database.url
    if engine == "postgresql":
        return psycopg.connect(url, autocommit=autocommit)
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path[1:],
        autocommit=autocommit,
    )


def run(connection: Any, statement: str) -> None:
    """Run one statement."""
    if isinstance(connection, psycopg.Connection):
        connection.execute(statement.encode())
        return
    with connection.cursor() as cursor:
        cursor.execute(statement)
