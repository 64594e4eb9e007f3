"""Catalog queries, qualified: asked under a `search_path` of pg_catalog alone.

A schema of somebody's own may stand before pg_catalog in a role's search_path, and its operators,
functions and types then mean something else by a name. A user's query wants just that; a question
of ours does not. What depends on the role's search_path itself, such as which table a bare name is,
is asked in statements that qualify every operator, by `connection.execute`.

Source:
    PostgreSQL manual, "The System Catalog Schema" and "Operator Type Resolution".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["asked", "asked_row"]

# Sent together: it takes one answer, and nothing of it outlives the question.
_BEFORE: Final = "SAVEPOINT rivet_asked; SET LOCAL search_path = pg_catalog"
_AFTER: Final = "ROLLBACK TO SAVEPOINT rivet_asked; RELEASE SAVEPOINT rivet_asked"
_RESULTS_BEFORE: Final = 2


def asked(
    connection: psycopg.Connection[Any],
    statement: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement in which every name that is not qualified is PostgreSQL's.

    Args:
        connection: In a transaction.
        statement: One SELECT.
        parameters: Rendered by the driver: statements that are sent together take none.
    """
    text = (
        psycopg.ClientCursor(connection).mogrify(statement, parameters) if parameters else statement
    )
    cursor = connection.execute(f"{_BEFORE}; {text}; {_AFTER}".encode())
    for _ in range(_RESULTS_BEFORE):
        cursor.nextset()
    return cursor.fetchall()


def asked_row(
    connection: psycopg.Connection[Any],
    statement: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
) -> tuple[Any, ...] | None:
    """Return the first row of `asked`; None where there is none."""
    rows = asked(connection, statement, parameters)
    return rows[0] if rows else None
