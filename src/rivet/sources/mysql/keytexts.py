"""Key texts in every character set: readable where they survive the connection, else as bytes.

A connection speaks utf8mb4. A text of another character set may have no code there, or share one
with others, and would come back as another text. Such a bound is written as the bytes it has in its
own character set, `x'81AD'`; it is always compared by the column's own collation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.errors import InternalError
from rivet.sources.mysql.link import ask
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymysql.connections import Connection

_WORD: Final = re.compile(r"[A-Za-z0-9_]+\Z")
_BYTES: Final = re.compile(r"x'((?:[0-9A-F]{2})*)'\Z")
_UNICODE: Final = frozenset({"utf8mb4", "utf8mb3", "utf8"})
_OWN: Final = "utf8mb4"


@dataclass(frozen=True, slots=True)
class Charset:
    """The character set and the collation of a column, by the server's names."""

    name: str
    collation: str

    def text(self, expression: str) -> str:
        """Return what gives the key text of an expression of this character set."""
        if self.name in _UNICODE:
            return expression
        shown = f"CONVERT({expression} USING {_OWN})"
        # UTF-16 has no code for half a pair of surrogates, which is no text, either.
        back = f"CAST(CONVERT(CONVERT({shown} USING utf16) USING {self.name}) AS BINARY)"
        survives = f"{back} = CAST({expression} AS BINARY) AND LEFT({shown}, 2) <> 'x'''"
        return f"IF({survives}, {shown}, CONCAT('x''', HEX({expression}), ''''))"

    def value(self, connection: Connection[Any], text: str) -> str:
        """Return the literal that a key text stands for."""
        if self.name not in _UNICODE and (found := _BYTES.match(text)):
            return f"_{self.name} x'{found[1]}' COLLATE {self.collation}"
        literal = str(connection.escape(text))
        return f"{literal} COLLATE {self.collation}" if self.name == _OWN else literal


def charsets_of(
    connection: Connection[Any], source: str, columns: Sequence[str]
) -> tuple[Charset, ...]:
    """Return the character sets of text columns; no row is read.

    Args:
        connection: A connection of `link.py`.
        source: What stands behind FROM.
        columns: Quoted names.

    Raises:
        pymysql.Error: The server refuses the statement.
    """
    # The largest of no rows is a NULL that has the column's collation.
    listed = [f"{name}(MAX({one}))" for one in columns for name in ("CHARSET", "COLLATION")]
    (row,) = ask(connection, f"{select(listed, source)} WHERE FALSE")
    names = [str(name) for name in row]
    if not all(map(_WORD.match, names)):
        msg = "the server's names of character sets are not what they are taken for"
        raise InternalError(msg)
    return tuple(map(Charset, names[::2], names[1::2]))
