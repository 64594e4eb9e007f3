"""Character sets with characters that Unicode does not have: where the server's conversion loses.

The server sends every text as UTF-8 and puts `?` (big5 and tis620 also U+FFFD) where its table has
no character. So a column of such a character set is selected by an expression that sends the byte
FF instead of a text which would lose one: it is no UTF-8, and the decoder refuses column and row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pymysql.charset import charset_by_id

from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection

__all__ = ["checked", "has_gaps", "own_bytes"]

# Every byte and every pair of bytes was tried on MariaDB 10.11. In the Unicode ones a character
# that is none, half a surrogate pair, comes as bytes that are no UTF-8, which the decoder refuses.
_WHOLE: Final = frozenset(
    {
        *("utf8mb4", "utf8mb3", "utf8", "ucs2", "utf16", "utf16le", "utf32", "binary"),
        *("armscii8", "cp850", "cp852", "cp866", "keybcs2", "koi8r", "koi8u"),
        *("latin1", "latin2", "latin5", "latin7", "macce", "macroman"),
    }
)
_NO_PAD: Final = 1024  # MariaDB's collations without padding are those of the same charset, so far
_UCA_1400: Final = 2048  # MariaDB has these for the Unicode character sets only
_OF_COLLATION: Final = "SELECT CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID = %s"


def has_gaps(connection: Connection[object], collation: int) -> bool:
    """Whether a character set, by a collation's number, may hold what Unicode has no place for.

    One that is not known to be whole counts as one with gaps, which costs time and no value.
    """
    if collation >= _UCA_1400:
        return False
    name = _name(collation) or _name(collation - _NO_PAD)
    if name is None:
        rows = ask(connection, _OF_COLLATION, (collation,))
        name = str(rows[0][0]) if rows else None
    return name not in _WHOLE


def _name(collation: int) -> str | None:
    try:
        return str(charset_by_id(collation).name)
    except KeyError:
        return None


def own_bytes(text: str) -> str:
    """Return the expression of the bytes of a text, in the character set of the expression.

    `CAST(... AS BINARY)` would give NULL for what is longer than max_allowed_packet.
    """
    return f"CONVERT({text} USING binary)"


def checked(name: str, value: str | None = None) -> str:
    """Return the expression of a column's text as bytes of UTF-8, or one byte FF where it loses.

    A `?` that is still there once those of the text are taken away was put in by the server. Bytes
    are compared, for a collation may take other characters for equal to `?`.

    Args:
        name: The quoted column.
        value: The expression that is given where nothing is lost; None is the text itself.
    """
    text = _in_utf8(name)
    rest = _in_utf8(f"REPLACE({name}, '?', x'')")
    is_lost = f"LOCATE(x'3F', {text}) AND IFNULL(LOCATE(x'3F', {rest}), 1)"
    return f"IF(({is_lost}) OR LOCATE(x'EFBFBD', {text}), x'FF', {value or text})"


def _in_utf8(text: str) -> str:
    return own_bytes(f"CONVERT({text} USING utf8mb4)")
