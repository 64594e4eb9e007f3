"""Ask one value over a session's own connection, with its settings and its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rivet.sources.duckdb.connect import DuckdbSession
from rivet.sources.mysql.link import ask_texts
from rivet.sources.mysql.session import MysqlSession
from rivet.sources.postgres.session import PostgresSession
from rivet.sources.sqlite.connect import SqliteSession
from rivet.sources.sqlite.translate import translated

if TYPE_CHECKING:
    from rivet.sources.base import Session


def value_of(session: Session, sql: str) -> Any:
    """Return the text of the one value that a statement gives; None for NULL."""
    ((value,),) = _rows(session, sql)
    return value if value is None else str(value)


def _rows(session: Session, sql: str) -> Any:
    match session:
        case PostgresSession():
            with session._question("asking for a test") as connection:
                result = connection.execute(sql.encode()).pgresult
                assert result is not None
                value = result.get_value(0, 0)
            return [(value if value is None else value.decode(),)]
        case MysqlSession():
            with session._question("asking for a test") as connection:
                return ask_texts(connection, sql)
        case SqliteSession():
            with translated(session.watch, doing="asking for a test"), session.watch.running():
                return session.connection.execute(sql).fetchall()
        case DuckdbSession():
            return session.connection.execute(sql).fetchall()
    raise AssertionError(type(session))
