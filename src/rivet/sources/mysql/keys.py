"""Keys of MySQL and MariaDB tables: which there are, and how values of them are written.

The text protocol takes no parameters: the driver renders texts, in this one place, and numbers and
bytes are written from their own digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.errors import InternalError
from rivet.model.relation import Key
from rivet.redact import visible
from rivet.sources.mysql import types
from rivet.sources.mysql.link import ask
from rivet.sources.mysql.overrides import DIALECT
from rivet.sources.seek import no_blocks, no_column, no_order, null_test

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymysql.connections import Connection

    from rivet.model.relation import Relation
    from rivet.sources.mysql.types import NativeColumn

_NUMBERS: Final = types.INTEGERS | types.DECIMALS | {types.YEAR}
_QUOTED: Final = types.DATES | {types.TIME, types.TEXT, types.UUID}
_WHOLE_TYPES: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_UNORDERED_TYPES: Final = frozenset({"enum", "set", "bit", "float", "double", "json"})
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*\Z")

_KEYS: Final = """
    SELECT s.INDEX_NAME, s.COLUMN_NAME, s.NON_UNIQUE, s.NULLABLE, s.SUB_PART, c.DATA_TYPE,
           t.ENGINE
    FROM information_schema.STATISTICS s
    JOIN information_schema.TABLES t
      ON t.TABLE_SCHEMA = s.TABLE_SCHEMA AND t.TABLE_NAME = s.TABLE_NAME
    LEFT JOIN information_schema.COLUMNS c
      ON c.TABLE_SCHEMA = s.TABLE_SCHEMA AND c.TABLE_NAME = s.TABLE_NAME
     AND c.COLUMN_NAME = s.COLUMN_NAME
    WHERE s.TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND s.TABLE_NAME = %s
      AND s.INDEX_TYPE = 'BTREE'
    ORDER BY s.INDEX_NAME <> 'PRIMARY', s.INDEX_NAME, s.SEQ_IN_INDEX"""


def keys_of(
    connection: Connection[Any], relation: Relation
) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """Return a table's keys, the primary one first, and the columns that an index begins with."""
    indexes: dict[str, list[tuple[Any, ...]]] = {}
    for name, *row in ask(connection, _KEYS, (relation.schema, relation.table)):
        indexes.setdefault(name, []).append(tuple(row))
    keys = tuple(
        Key(
            tuple(str(row[0]) for row in rows),
            is_integer=len(rows) == 1 and str(rows[0][4]).lower() in _WHOLE_TYPES,
            is_clustered=name == "PRIMARY" and str(rows[0][5]).lower() == "innodb",
        )
        for name, rows in indexes.items()
        if all(_is_seekable(row) for row in rows)
    )
    indexed = [str(rows[0][0]) for rows in indexes.values() if rows[0][0] is not None]
    return keys, tuple(dict.fromkeys(indexed))


def _is_seekable(row: tuple[Any, ...]) -> bool:
    column, non_unique, nullable, sub_part, data_type, _ = row
    is_plain = column is not None and sub_part is None and nullable != "YES"
    return is_plain and not int(non_unique) and str(data_type).lower() not in _UNORDERED_TYPES


@dataclass(frozen=True, slots=True)
class KeySpelling:
    """How conditions on one relation are written, see `sources/seek.py`.

    A literal is weaker than a column where collations meet, so a column is always compared by its
    own collation, which is also the one it is ordered by.
    """

    connection: Connection[Any]
    natives: Mapping[str, NativeColumn]
    has_row_values: bool = False  # no index would serve them

    @classmethod
    def of(cls, connection: Connection[Any], natives: tuple[NativeColumn, ...]) -> KeySpelling:
        """Return the spelling for a relation with these columns."""
        return cls(connection, {one.name: one for one in natives})

    def column(self, name: str) -> str:
        """Return the quoted column."""
        self._code(name)
        return DIALECT.identifier(name)

    def null_test(self, name: str, expression: str, *, is_null: bool) -> str:  # noqa: ARG002
        """Return the test of an expression for NULL."""
        return null_test(expression, is_null=is_null)

    def text(self, name: str, expression: str) -> str:
        """Return the value as text; bytes in hex."""
        if self._code(name) == types.BYTES:
            return f"HEX({expression})"
        return expression if self._code(name) == types.TEXT else f"CAST({expression} AS CHAR)"

    def value(self, name: str, text: str) -> str:
        """Return the literal: a quoted number would be compared as a double."""
        code = self._code(name)
        if code in _NUMBERS and _NUMBER.match(text):
            return text
        if code == types.BYTES and _HEX.match(text):
            return f"x'{text}'"
        if code in _QUOTED:
            return str(self.connection.escape(text))
        msg = f"a bound of column '{visible(name)}' is not of its type"
        raise InternalError(msg)

    def blocks(self, lower: str | None, upper: str | None) -> str:
        """Refuse: this engine has no blocks."""
        raise no_blocks(lower, upper)

    def _code(self, name: str) -> int:
        native = self.natives.get(name)
        if native is None:
            raise no_column(name, self.natives)
        if native.value_code not in _NUMBERS | _QUOTED | {types.BYTES}:
            raise no_order(name, native.spelling)
        return native.value_code
