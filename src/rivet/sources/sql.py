"""SELECT statements as text, from structure; the only place that joins SQL.

Values never come through here: identifiers are quoted by the dialect, and a user's query is used
as it was written, only relieved of what follows its end.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from rivet.errors import SourceQueryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.sources.dialect import Dialect

_DOUBLED: Final = r"""'(?:[^']|'')*' | "(?:[^"]|"")*\""""
_BACKSLASHED: Final = r"""'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*\""""
_LINE: Final = r"--[^\n]*"
_HASH_OR_LINE: Final = r"(?:\#|--(?=\s|\Z))[^\n]*"
_WORDS: Final = r"""
    (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<string>{strings} | `(?:[^`]|``)*`)
  | (?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
  | (?P<line>{line})
  | (?P<block>/\*)
  | (?P<blank>\s+)
  | (?P<end>;)
  | (?P<word>\w+|.)"""


@cache
def _token(dialect: Dialect) -> re.Pattern[str]:
    pattern = _WORDS.format(
        strings=_BACKSLASHED if dialect.has_backslash_escapes else _DOUBLED,
        line=_HASH_OR_LINE if dialect.has_hash_comments else _LINE,
    )
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


def single_statement(query: str, dialect: Dialect) -> str:
    """Return a query without its closing semicolon and what follows it.

    Comments inside stay; the result may end in a line comment, so a caller that puts text behind
    it starts a new line.

    Raises:
        SourceQueryError: There is no statement, or more than one.
    """
    end: int | None = None
    is_empty = True
    for kind, start in _significant(query, dialect):
        if kind == "end":
            end = start if end is None else end
        elif end is not None:
            msg = "the query holds more than one statement"
            raise SourceQueryError(msg, hint="keep one SELECT per export")
        else:
            is_empty = False
    if is_empty:
        msg = "the query is empty"
        raise SourceQueryError(msg, hint="write one SELECT statement")
    return query[:end].rstrip() if end is not None else query.rstrip()


def _significant(query: str, dialect: Dialect) -> Iterable[tuple[str, int]]:
    """Yield kind and offset of every token that is neither blank nor comment."""
    offset = 0
    token = _token(dialect)
    while match := token.match(query, offset):
        kind, start = str(match.lastgroup), match.start()
        offset = match.end()
        if (kind == "dollar" and not dialect.has_dollar_quotes) or (
            kind == "escaped" and not dialect.has_escape_strings
        ):
            offset, kind = start + 1, "word"
        elif kind == "block":
            offset = _after_comment(query, offset, is_nested=dialect.has_nested_comments)
        if kind not in {"blank", "line", "block"}:
            yield kind, start


def _after_comment(query: str, offset: int, *, is_nested: bool) -> int:
    depth = 1
    for mark in re.compile(r"/\*|\*/").finditer(query, offset):
        if mark.group() == "*/":
            depth -= 1
        elif is_nested:
            depth += 1
        if depth == 0:
            return mark.end()
    return len(query)


def select(expressions: Iterable[str], source: str) -> str:
    """Return `SELECT <expressions> FROM <source>`; both are already quoted."""
    return f"SELECT {', '.join(expressions)} FROM {source}"  # noqa: S608


def subquery(query: str) -> str:
    """Return a query as a FROM item named `_rivet`; safe behind a closing line comment."""
    return f"(\n{query}\n) AS _rivet"
