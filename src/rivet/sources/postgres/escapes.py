r"""A user's statement under the session's own rule for backslashes in strings.

With `standard_conforming_strings = off`, which a role may have, `'it\'s'` is one string. Read by
the standard's rule it ends early, and what follows is taken for text or for SQL that it is not: a
statement would be cut at the wrong place, or judged by the wrong words.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rivet.errors import SourceQueryError
from rivet.sources.postgres.read import DIALECT
from rivet.sources.sql import single_statement
from rivet.sources.tokens import tokens

if TYPE_CHECKING:
    import psycopg

__all__ = ["statement_of"]

_SETTING: Final = b"standard_conforming_strings"
_ESCAPING: Final = replace(DIALECT, has_backslash_escapes=True)


def statement_of(connection: psycopg.Connection[Any], query: str) -> str:
    """Return the one statement of a query, as `single_statement`.

    The server tells the setting by itself whenever it changes, which costs no question.

    Raises:
        SourceQueryError: It depends on the rule for backslashes where its strings end, and the
            session's is not the standard's; or there is not one statement.
    """
    is_plain = "\\" not in query or connection.pgconn.parameter_status(_SETTING) != b"off"
    if not is_plain and list(tokens(query, DIALECT)) != list(tokens(query, _ESCAPING)):
        msg = (
            "the query has a backslash before a quote, and in this session it keeps a string open"
            " (`standard_conforming_strings` is off)"
        )
        hint = (
            "write the string as E'...', or the quote twice; or set `source.session:"
            " {standard_conforming_strings: on}`, which gives backslashes no meaning"
        )
        raise SourceQueryError(msg, hint=hint)
    return single_statement(query, DIALECT)
