"""How values of keys of SQLite tables are written: always bound, never in the text.

SQLite types values and not columns, so a key text tells what its value is: what could be taken for
a number or begins with a quote or a brace is JSON, everything else is text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rivet.model.types import Kind
from rivet.sources.seek import ROW, is_multiple, no_blocks, no_column, null_test
from rivet.sources.sqlite.catalog import quoted
from rivet.sources.sqlite.moments import MOMENT_FUNCTION, day_near, moment
from rivet.sources.sqlite.types import map_declared

_NOT_TEXT: Final = re.compile(r'["{]|-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|Infinity)\Z')

_DECIMAL: Final = re.compile(r"\s*(?:decimal|numeric|dec|number)\b", re.IGNORECASE)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rivet.sources.sqlite.types import Declared


def key_text(value: object) -> str:
    """Return the text of a value: numbers as such, blobs as hex, text as it is or quoted."""
    if isinstance(value, bytes):
        return json.dumps({"x": value.hex()})
    if isinstance(value, str) and not _NOT_TEXT.match(value):
        return value
    return json.dumps(value)


def _value(text: str) -> Any:  # noqa: ANN401 - any of SQLite's four
    if not _NOT_TEXT.match(text):
        return text
    value = json.loads(text)
    return bytes.fromhex(value["x"]) if isinstance(value, dict) else value


@dataclass(slots=True)
class KeySpelling:
    """How conditions on one relation are written, see `sources/seek.py`; made for one statement.

    Attributes:
        values: What is bound, in the order in which the statement asks for it.
    """

    types: Mapping[str, str]
    values: list[Any] = field(default_factory=list)
    has_row_values: bool = True

    @classmethod
    def of(cls, declared: Iterable[Declared]) -> KeySpelling:
        """Return the spelling for a relation with these columns."""
        return cls({one.name: one.type for one in declared})

    def column(self, name: str) -> str:
        """Return the quoted column; of a timestamp, what all its forms have in common."""
        plain = self._plain(name)
        return f"{MOMENT_FUNCTION}({plain})" if self._is_moment(name) else plain

    def null_test(self, name: str, expression: str, *, is_null: bool) -> str:  # noqa: ARG002
        """Return the test of an expression for NULL."""
        return null_test(expression, is_null=is_null)

    def text(self, name: str, expression: str) -> str:  # noqa: ARG002 - all types alike
        """Return the value: it is made text outside SQL."""
        return expression

    def value(self, name: str, text: str) -> str:
        """Bind a value."""
        value = _value(text)
        self.values.append(moment(value) if self._is_moment(name) else value)
        return "?"

    def narrowed(self, name: str, lower: str | None, upper: str | None) -> str:
        """Return, for a timestamp, the days about the bounds, or what is no text."""
        if not self._is_moment(name) or (lower is None and upper is None):
            return ""
        plain, parts = self._plain(name), []
        for sign, text, days in ((">=", lower, -1), ("<", upper, 2)):
            if text is None:
                continue
            day = day_near(moment(_value(text)), days)
            if day is None:
                return ""
            self.values.append(day)
            parts.append(f"{plain} {sign} ?")
        # Numbers come before every text.
        return f"(({' AND '.join(parts)}) OR {plain} < '')"

    def extremes(self, name: str) -> tuple[str, ...]:
        """Return the infinities, which a decimal can hold."""
        self._plain(name)
        return ("9e999", "-9e999") if _DECIMAL.match(self.types[name]) else ()

    def _plain(self, name: str) -> str:
        if name not in self.types:
            raise no_column(name, sorted(self.types))
        return f"{ROW}.{quoted(name)}"

    def _is_moment(self, name: str) -> bool:
        self._plain(name)
        return map_declared(self.types[name]).logical.kind is Kind.TIMESTAMP

    def sign(self, name: str, sign: str) -> str:  # noqa: ARG002 - all types alike
        """Return the operator as it is: there is no other of its name."""
        return sign

    def is_multiple(self, number: str, step: int) -> str:
        """Return the condition by the operator."""
        return is_multiple(number, step)

    def blocks(self, lower: str | None, upper: str | None) -> str:
        """Refuse: this engine has no blocks."""
        raise no_blocks(lower, upper)
