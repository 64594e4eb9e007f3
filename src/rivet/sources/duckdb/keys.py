"""How values of keys of DuckDB tables are written: always bound, with a cast to their type.

They are bound to variables of the session: a statement with parameters of its own would be stored
whole before its first row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rivet.sources.duckdb.types import DIALECT
from rivet.sources.seek import is_multiple, no_blocks, no_column, no_order, null_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rivet.sources.duckdb.types import NativeColumn

VARIABLE: Final = "rivet_key_"
_ORDERED: Final = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("DECIMAL", "VARCHAR", "UUID", "DATE", "TIME", "TIMESTAMP"),
)

_LEAST: Final = {"TINYINT": -(2**7), "SMALLINT": -(2**15), "INTEGER": -(2**31), "BIGINT": -(2**63)}


@dataclass(slots=True)
class KeySpelling:
    """How conditions on one relation are written, see `sources/seek.py`; made for one statement.

    Attributes:
        values: What is bound, in the order in which the statement asks for it.
    """

    types: Mapping[str, str]
    values: list[str] = field(default_factory=list)
    has_row_values: bool = True

    @classmethod
    def of(cls, natives: Iterable[NativeColumn]) -> KeySpelling:
        """Return the spelling for a relation with these columns."""
        return cls({one.name: one.type for one in natives})

    def column(self, name: str) -> str:
        """Return the quoted column."""
        self._type(name)
        return DIALECT.identifier(name)

    def null_test(self, name: str, expression: str, *, is_null: bool) -> str:  # noqa: ARG002
        """Return the test of an expression for NULL."""
        return null_test(expression, is_null=is_null)

    def text(self, name: str, expression: str) -> str:  # noqa: ARG002 - all types alike
        """Return the value as DuckDB's own text."""
        return f"CAST({expression} AS VARCHAR)"

    def value(self, name: str, text: str) -> str:
        """Bind a value."""
        kind = self._type(name)
        # A bound below every number of the type, such as one that was moved back, is its least.
        least = 0 if kind.startswith("U") and kind != "UUID" else _LEAST.get(kind)
        is_below = least is not None and text.startswith("-") and int(text) < least
        self.values.append(str(least) if is_below else text)
        return f"CAST(getvariable('{VARIABLE}{len(self.values)}') AS {kind})"

    def narrowed(self, name: str, lower: str | None, upper: str | None) -> str:  # noqa: ARG002
        """Return nothing: comparisons are on the columns themselves."""
        return ""

    def extremes(self, name: str) -> tuple[str, ...]:
        """Return the infinities of dates and timestamps."""
        kind = self._type(name)
        if not kind.startswith(("DATE", "TIMESTAMP")):
            return ()
        return tuple(f"CAST('{word}' AS {kind})" for word in ("infinity", "-infinity"))

    def bind(self, connection: Any) -> None:  # noqa: ANN401 - the driver's
        """Give the session the values that the statement asks for."""
        for number, text in enumerate(self.values, 1):
            connection.execute(f"SET VARIABLE {VARIABLE}{number} = ?", [text])

    def sign(self, name: str, sign: str) -> str:  # noqa: ARG002 - all types alike
        """Return the operator as it is: there is no other of its name."""
        return sign

    def is_multiple(self, number: str, step: int) -> str:
        """Return the condition by the operator."""
        return is_multiple(number, step)

    def blocks(self, lower: str | None, upper: str | None) -> str:
        """Refuse: this engine has no blocks."""
        raise no_blocks(lower, upper)

    def _type(self, name: str) -> str:
        kind = self.types.get(name)
        if kind is None:
            raise no_column(name, self.types)
        if not kind.startswith(_ORDERED) or kind.endswith("]"):
            raise no_order(name, kind)
        return kind
