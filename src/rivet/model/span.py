"""Spans: pieces of a relation, bounded by its own values or by where its rows lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum


class SpanKind(StrEnum):
    """How a span is bounded."""

    ALL = "all"
    KEY = "key"
    BLOCKS = "blocks"
    NULLS = "nulls"
    EXTREMES = "extremes"


@dataclass(frozen=True, slots=True)
class Span:
    """Rows between two places; spans that share a bound share no row.

    Attributes:
        kind: `key` compares columns, `blocks` the place of a row in its table's file, `nulls`
            takes the rows in which the one column is NULL, `extremes` those in which it is no
            number or moment (NaN, infinity), `all` takes every row.
        columns: Names in the source, in the order they are compared; one for `nulls`
            and `extremes`.
        lower: The engine's own text of each column's value, or of a block's number; None is open.
            A key span leaves out rows in which a single column is NULL even where it is open.
        upper: The same.
        takes_lower: Rows equal to the lower bound belong to it.
        takes_upper: Rows equal to the upper bound belong to it.
        fallback: A column that stands in where the one column is NULL.
        is_finite: A key span that leaves out what is no number or moment.
    """

    kind: SpanKind = SpanKind.ALL
    columns: tuple[str, ...] = ()
    lower: tuple[str, ...] | None = None
    upper: tuple[str, ...] | None = None
    takes_lower: bool = False
    takes_upper: bool = True
    fallback: str | None = None
    is_finite: bool = False

    @property
    def lower_label(self) -> str | None:
        """The lower bound for people."""
        return None if self.lower is None else ", ".join(self.lower)

    @property
    def upper_label(self) -> str | None:
        """The upper bound for people."""
        return None if self.upper is None else ", ".join(self.upper)

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(
            [
                self.kind,
                list(self.columns),
                None if self.lower is None else list(self.lower),
                None if self.upper is None else list(self.upper),
                self.takes_lower,
                self.takes_upper,
                self.fallback,
                self.is_finite,
            ],
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Span:
        """Return the span that `to_json` wrote.

        Raises:
            ValueError: The text is something else.
        """
        try:
            kind, columns, lower, upper, takes_lower, takes_upper, *more = json.loads(text)
            fallback = more[:1] if more[:1] != [None] else []
            _check_texts(columns, lower or [], upper or [], fallback)
            _check_flags(takes_lower, takes_upper, *more[1:])
        except (TypeError, RecursionError) as error:
            msg = "the text does not describe a span"
            raise ValueError(msg) from error
        return cls(
            SpanKind(kind),
            tuple(columns),
            None if lower is None else tuple(lower),
            None if upper is None else tuple(upper),
            takes_lower,
            takes_upper,
            *more,
        )


def _check_texts(*lists: object) -> None:
    for one in lists:
        if not isinstance(one, list) or not all(isinstance(text, str) for text in one):
            raise TypeError


def _check_flags(*flags: object) -> None:
    if not all(isinstance(one, bool) for one in flags):
        raise TypeError


WHOLE = Span()
"""Every row."""


class ProbeKind(StrEnum):
    """Which key of a span is asked for."""

    FIRST = "first"
    LAST = "last"
    STEP = "step"
    CUTS = "cuts"
    NULL = "null"
    EXTREMES = "extremes"
    ORDER = "order"
