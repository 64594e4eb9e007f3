"""Key texts in every encoding of a database: readable where they survive, else as bytes.

A connection speaks UTF-8. The server refuses to send it a text that has no code there, and what is
no UTF-8 in a database of SQL_ASCII, which has no encoding. So keys are asked for as their bytes;
one that is no text to us is written as those, `x'E974'`, and compared as the text of these bytes.

Source:
    PostgreSQL manual, "Character Set Support", "Binary String Functions and Operators".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

if TYPE_CHECKING:
    import psycopg

__all__ = ["CODECS", "RAW", "UNICODE", "Encoding"]

RAW: Final = "SQL_ASCII"
UNICODE: Final = "UTF8"
_MARK: Final = "x'"
_BYTES: Final = re.compile(r"x'((?:[0-9A-F]{2})*)'\Z")
_LATIN: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 9, 6: 10, 7: 13, 8: 14, 9: 15, 10: 16}
CODECS: Final[dict[str, str]] = {
    **{f"LATIN{number}": f"iso8859-{part}" for number, part in _LATIN.items()},
    **{f"ISO_8859_{part}": f"iso8859-{part}" for part in (5, 6, 7, 8)},
    **{f"WIN{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))},
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
}
"""What Python calls the encodings of one byte, whose tables are the server's.

Of encodings of several bytes the tables differ: of those only ASCII is readable.
"""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A database's encoding, by the server's name; not UTF-8."""

    name: str

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> Encoding | None:
        """Return that of a session's database; None for UTF-8, in which every text survives."""
        name = connection.info.parameter_status("server_encoding") or UNICODE
        return None if name == UNICODE else cls(name)

    def sent(self, expression: str) -> str:
        """Return what gives a text's bytes in hex."""
        name = sql.Literal(self.name).as_string()
        text = f"{expression}::pg_catalog.text"
        return f"pg_catalog.encode(pg_catalog.convert_to({text}, {name}), 'hex')"

    def key_text(self, hexed: str) -> str:
        """Return the key text for what `sent` gave."""
        data = bytes.fromhex(hexed)
        codec = "utf-8" if self.name == RAW else CODECS.get(self.name, "ascii")
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            text = _MARK
        return f"{_MARK}{data.hex().upper()}'" if text.startswith(_MARK) else text

    def value(self, text: str) -> str | None:
        """Return the text that a key text stands for where it is written as bytes; else None."""
        found = _BYTES.match(text)
        if found is None:
            return None
        name = sql.Literal(self.name).as_string()
        return f"pg_catalog.convert_from(pg_catalog.decode('{found[1]}', 'hex'), {name})"
