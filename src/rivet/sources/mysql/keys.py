"""Keys of MySQL and MariaDB tables: which there are, and how values of them are written.

The text protocol takes no parameters: the driver renders texts, in this one place, and numbers and
bytes are written from their own digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from rivet.errors import InternalError, UnsupportedPlanError
from rivet.model.relation import Key
from rivet.redact import visible
from rivet.sources.mysql import types
from rivet.sources.mysql.catalog import PLACE, hidden_columns, place_of
from rivet.sources.mysql.coverage import ELSEWHERE
from rivet.sources.mysql.link import ask
from rivet.sources.mysql.overrides import DIALECT
from rivet.sources.mysql.settings import SORTED_BYTES
from rivet.sources.seek import no_blocks, no_column, no_order, null_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pymysql.connections import Connection

    from rivet.model.relation import Relation, TableFacts
    from rivet.model.span import Span
    from rivet.sources.mysql.keytexts import Charset
    from rivet.sources.mysql.types import NativeColumn

_NUMBERS: Final = types.INTEGERS | types.DECIMALS | {types.YEAR}
_QUOTED: Final = types.DATES | {types.TIME, types.TEXT, types.UUID, types.INET}
_SEEKABLE: Final = _NUMBERS | _QUOTED | {types.BYTES}
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z")
# What a character weighs differs by collation, by sixteen bytes at the most.
_LONGEST_BOUND: Final = SORTED_BYTES // 16
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*\Z")

_INDEXES: Final = f"""
    SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE, NULLABLE, SUB_PART
    FROM information_schema.STATISTICS
    WHERE {PLACE} AND INDEX_TYPE = 'BTREE'
    ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"""  # noqa: S608


def with_keys(
    connection: Connection[Any], relation: Relation, facts: TableFacts, engine: str | None
) -> TableFacts:
    """Add a table's keys to what is known of it, and the columns that an index begins with.

    A key counts where rows can be sought by it, and where this server holds them to it. Its columns
    need not be among those that a star stands for: servers hide the keys that they make themselves.
    """
    if (engine or "").upper() in ELSEWHERE:
        return facts
    indexes: dict[str, list[tuple[Any, ...]]] = {}
    for name, *row in ask(connection, _INDEXES, place_of(relation)):
        indexes.setdefault(name, []).append(tuple(row))
    candidates = {name: _names(rows) for name, rows in indexes.items() if all(map(_is_plain, rows))}
    listed = dict.fromkeys(name for columns in candidates.values() for name in columns)
    natives = {one.name: one for one in hidden_columns(connection, relation, tuple(listed))}
    keys = [
        Key(
            columns,
            is_integer=len(columns) == 1 and natives[columns[0]].code in types.INTEGERS,
            is_clustered=name == "PRIMARY" and (engine or "").lower() == "innodb",
        )
        for name, columns in candidates.items()
        if all(_is_seekable(natives.get(one)) for one in columns)
    ]
    indexed = [str(rows[0][0]) for rows in indexes.values() if rows[0][0] is not None]
    primary = _names(indexes.get("PRIMARY", ()))
    return replace(facts, key=primary, keys=tuple(keys), indexed=tuple(dict.fromkeys(indexed)))


def columns_in(spans: Iterable[Span]) -> tuple[str, ...]:
    """Return the columns that spans compare."""
    names = [name for span in spans for name in (*span.columns, span.fallback) if name is not None]
    return tuple(dict.fromkeys(names))


def refuse_unsorted(columns: Iterable[str], bounds: Iterable[tuple[str | None, ...]]) -> None:
    """Refuse bounds longer than what surely counts where the server sorts.

    Raises:
        UnsupportedPlanError: Texts that begin alike may have come in any order.

    Source:
        MySQL manual, "Server System Variables", `max_sort_length`.
    """
    names = tuple(columns)
    for bound in bounds:
        for name, text in zip(names, bound, strict=False):
            if text is not None and len(text) > _LONGEST_BOUND:
                msg = f"column '{visible(name)}' has texts that are too long to go by"
                hint = f"choose a column whose values have at most {_LONGEST_BOUND:,} characters"
                raise UnsupportedPlanError(msg, hint=hint, column=name)


def _names(rows: Iterable[tuple[Any, ...]]) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in rows)


def _is_plain(row: tuple[Any, ...]) -> bool:
    column, non_unique, nullable, sub_part = row
    return column is not None and sub_part is None and nullable != "YES" and not int(non_unique)


def _is_seekable(native: NativeColumn | None) -> bool:
    return native is not None and native.value_code in _SEEKABLE


@dataclass(frozen=True, slots=True)
class KeySpelling:
    """How conditions on one relation are written, see `sources/seek.py`.

    Texts are compared by the column's own collation, which is also the one they are ordered by.

    Attributes:
        connection: Renders texts.
        natives: The columns by name.
        charsets: Character sets of the text columns that are asked for.
        has_row_values: No index would serve them.
    """

    connection: Connection[Any]
    natives: Mapping[str, NativeColumn]
    charsets: Mapping[str, Charset] = field(default_factory=dict)
    has_row_values: bool = False

    def column(self, name: str) -> str:
        """Return the quoted column."""
        self._code(name)
        return DIALECT.identifier(name)

    def null_test(self, name: str, expression: str, *, is_null: bool) -> str:  # noqa: ARG002
        """Return the test of an expression for NULL."""
        return null_test(expression, is_null=is_null)

    def text(self, name: str, expression: str) -> str:
        """Return the value as text; bytes in hex."""
        code = self._code(name)
        if code == types.BYTES:
            return f"HEX({expression})"
        if code == types.TEXT:
            return self.charsets[name].text(expression)
        return f"CAST({expression} AS CHAR)"

    def value(self, name: str, text: str) -> str:
        """Return the literal: a quoted number would be compared as a double."""
        code = self._code(name)
        if code in _NUMBERS and _NUMBER.match(text):
            return text
        if code == types.BYTES and _HEX.match(text):
            return f"x'{text}'"
        if code == types.TEXT:
            return self.charsets[name].value(self.connection, text)
        if code in _QUOTED:
            quoted = str(self.connection.escape(text))
            # Among bounds alone a text would be sorted as one: '-9:00:00' behind '-27:00:00'.
            return f"CAST({quoted} AS TIME(6))" if code == types.TIME else quoted
        msg = f"a bound of column '{visible(name)}' is not of its type"
        raise InternalError(msg)

    def narrowed(self, name: str, lower: str | None, upper: str | None) -> str:  # noqa: ARG002
        """Return nothing: comparisons are on the columns themselves."""
        return ""

    def extremes(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 - all types alike
        """Return nothing: every value is a number or a moment."""
        return ()

    def sign(self, name: str, sign: str) -> str:  # noqa: ARG002 - all types alike
        """Return the operator as it is: there is no other of its name."""
        return sign

    def is_multiple(self, number: str, step: int) -> str:
        """Return the condition by a function: ORACLE mode does not take the operator."""
        return f"MOD({number}, {step}) = 0"

    def blocks(self, lower: str | None, upper: str | None) -> str:
        """Refuse: this engine has no blocks."""
        raise no_blocks(lower, upper)

    def _code(self, name: str) -> int:
        native = self.natives.get(name)
        if native is None:
            raise no_column(name, self.natives)
        if native.value_code not in _SEEKABLE:
            raise no_order(name, native.spelling)
        return native.value_code
