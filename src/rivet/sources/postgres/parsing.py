"""Let the server parse a query without running it; libpq's own call would hold up every thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import pq

from rivet.dial.guarded import executed

if TYPE_CHECKING:
    import psycopg

__all__ = ["described", "parsed"]


def parsed(connection: psycopg.Connection[Any], query: str) -> pq.abc.PGresult:
    """Return the server's verdict on a query, which may be an error."""
    connection.pgconn.send_prepare(b"", query.encode())
    verdict: pq.abc.PGresult = connection.wait(executed(connection.pgconn))[-1]
    return verdict


def described(connection: psycopg.Connection[Any], query: str) -> pq.abc.PGresult:
    """Return the description of a query's columns and parameters, or an error."""
    verdict = parsed(connection, query)
    if verdict.status != pq.ExecStatus.COMMAND_OK:
        return verdict
    connection.pgconn.send_describe_prepared(b"")
    description: pq.abc.PGresult = connection.wait(executed(connection.pgconn))[-1]
    return description
