"""SELECT statements as text, from structure; the only place that joins SQL.

Values never come through here: identifiers are quoted by the dialect, and a user's query is used
as it was written, only relieved of what follows its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import SourceQueryError
from rivet.sources.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.sources.dialect import Dialect


def single_statement(query: str, dialect: Dialect) -> str:
    """Return a query without its closing semicolon and what follows it.

    Comments inside stay; the result may end in a line comment, so a caller that puts text behind
    it starts a new line.

    Raises:
        SourceQueryError: There is no statement, or more than one.
    """
    end: int | None = None
    is_empty = True
    for token in tokens(query, dialect):
        if token.kind == "end":
            end = token.start if end is None else end
        elif end is not None:
            msg = "the query holds more than one statement"
            raise SourceQueryError(msg, hint="keep one SELECT per export")
        else:
            is_empty = False
    if is_empty:
        msg = "the query is empty"
        raise SourceQueryError(msg, hint="write one SELECT statement")
    return query[:end].rstrip() if end is not None else query.rstrip()


def select(expressions: Iterable[str], source: str) -> str:
    """Return `SELECT <expressions> FROM <source>`; both are already quoted."""
    return f"SELECT {', '.join(expressions)} FROM {source}"  # noqa: S608


def subquery(query: str) -> str:
    """Return a query as a FROM item named `_rivet`; safe behind a closing line comment."""
    return f"(\n{query}\n) AS _rivet"
