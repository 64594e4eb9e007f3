"""Conditions and questions about keys as SQL, the same for every engine that speaks it.

An engine says how it spells a column, a value and a block; the logic of bounds lives here, once.
Identifiers are quoted and values rendered by the engine's driver, or bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from rivet.errors import InternalError, UnsupportedPlanError
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rivet.model.relation import KeyProbe
    from rivet.sources.dialect import Dialect

__all__ = [
    "ROW",
    "Spelling",
    "condition",
    "no_blocks",
    "no_column",
    "no_order",
    "null_test",
    "question_sql",
    "where",
]

ROW: Final = "rivet_source"
"""What a relation is called inside a statement, for engines that must qualify columns."""


class Spelling(Protocol):
    """How an engine writes the parts of a condition on one relation."""

    @property
    def has_row_values(self) -> bool:
        """Whether an index serves `(a, b) > (x, y)`."""
        ...

    def column(self, name: str) -> str:
        """Return a column of the source as an expression.

        Raises:
            PlanError: There is none of that name, or it has no order to cut by.
        """
        ...

    def null_test(self, name: str, expression: str, *, is_null: bool) -> str:
        """Return the condition that an expression over a column is NULL, or is not.

        `null_test` of this module, unless the engine answers that by what it only believes.
        """
        ...

    def text(self, name: str, expression: str) -> str:
        """Return what gives the key text of an expression that has a column's type."""
        ...

    def value(self, name: str, text: str) -> str:
        """Return the value that a key text stands for as an expression; values come in order."""
        ...

    def narrowed(self, name: str, lower: str | None, upper: str | None) -> str:
        """Return a condition that an index serves, of all rows between two values and some more.

        Empty where the comparison itself is such a condition.
        """
        ...

    def extremes(self, name: str) -> tuple[str, ...]:
        """Return what a column can hold beyond numbers and moments, as expressions."""
        ...

    def sign(self, name: str, sign: str) -> str:
        """Return a comparison's operator: the one of the column's own type."""
        ...

    def is_multiple(self, number: str, step: int) -> str:
        """Return the condition that a whole number is a multiple of another."""
        ...

    def blocks(self, lower: str | None, upper: str | None) -> str:
        """Return the condition of rows in blocks from `lower` up to before `upper`."""
        ...


def no_column(name: str, names: Iterable[str]) -> UnsupportedPlanError:
    """Return the error for a column that a relation with these names does not have."""
    msg = f"the relation has no column '{visible(name)}'"
    listed = ", ".join(f"'{visible(one)}'" for one in names)
    return UnsupportedPlanError(msg, hint=f"its columns are: {listed}", column=name)


def no_blocks(lower: str | None, upper: str | None) -> InternalError:
    """Return the error for blocks that were asked of an engine without any."""
    return InternalError(f"blocks {lower} to {upper} were asked for where there are none")


def no_order(name: str, native_type: str) -> UnsupportedPlanError:
    """Return the error for a column that nothing can be cut by."""
    msg = f"column '{visible(name)}' ({native_type}) has no order by which a table can be cut"
    hint = "choose a column of whole numbers, dates, timestamps, text or UUIDs"
    return UnsupportedPlanError(msg, hint=hint, column=name)


def is_multiple(number: str, step: int) -> str:
    """Return the condition that a whole number is a multiple of another, by the operator."""
    return f"{number} % {step} = 0"


def null_test(expression: str, *, is_null: bool) -> str:
    """Return the condition that an expression is NULL, or is not, as SQL has it."""
    return f"{expression} IS NULL" if is_null else f"{expression} IS NOT NULL"


def where(spans: Sequence[Span], spelling: Spelling) -> str:
    """Return ` WHERE ...` for the rows that every span holds; empty for all rows."""
    text = condition(spans, spelling)
    return f" WHERE {text}" if text else ""


def condition(spans: Sequence[Span], spelling: Spelling) -> str:
    """Return the condition of rows that every span holds; empty for all rows."""
    parts = [part for span in spans if (part := _of_span(span, spelling))]
    return " AND ".join(parts)


def _of_span(span: Span, spelling: Spelling) -> str:
    match span.kind:
        case SpanKind.ALL:
            return ""
        case SpanKind.NULLS:
            return _null_tests(spelling, span.columns, span.fallback, is_null=True)[0]
        case SpanKind.EXTREMES:
            return _extremes(span.columns[0], span.fallback, spelling)
        case SpanKind.BLOCKS:
            lower = span.lower[0] if span.lower else None
            return spelling.blocks(lower, span.upper[0] if span.upper else None)
        case SpanKind.KEY:
            return _of_key(span, spelling)


def _of_key(span: Span, spelling: Spelling) -> str:
    parts = []
    if len(span.columns) == 1 and span.fallback is None:
        lower, upper = (bound[0] if bound else None for bound in (span.lower, span.upper))
        parts = [text] if (text := spelling.narrowed(span.columns[0], lower, upper)) else []
    if span.lower is not None:
        parts.append(_compared(span, span.lower, ">", spelling, takes=span.takes_lower))
    if span.upper is not None:
        parts.append(_compared(span, span.upper, "<", spelling, takes=span.takes_upper))
    if not parts:
        # As every bounded span leaves NULL out, so must the open one.
        parts = _null_tests(spelling, span.columns, span.fallback, is_null=False)
    if span.is_finite and spelling.extremes(span.columns[0]):
        parts.append(f"NOT ({_extremes(span.columns[0], span.fallback, spelling)})")
    return " AND ".join(parts)


def _extremes(name: str, fallback: str | None, spelling: Spelling) -> str:
    values, expression = spelling.extremes(name), _expression(spelling, name, fallback)
    equal = spelling.sign(name, "=")
    tests = " OR ".join(f"{expression} {equal} {value}" for value in values)
    return f"({tests})" if tests else "FALSE"


def _expression(spelling: Spelling, name: str, fallback: str | None) -> str:
    column = spelling.column(name)
    return column if fallback is None else f"COALESCE({column}, {spelling.column(fallback)})"


def _expressions(spelling: Spelling, columns: Sequence[str], fallback: str | None) -> list[str]:
    return [_expression(spelling, name, fallback) for name in columns]


def _null_tests(
    spelling: Spelling, columns: Sequence[str], fallback: str | None, *, is_null: bool
) -> list[str]:
    return [
        spelling.null_test(name, _expression(spelling, name, fallback), is_null=is_null)
        for name in columns
    ]


def _compared(
    span: Span, bound: tuple[str, ...], sign: str, spelling: Spelling, *, takes: bool
) -> str:
    columns = span.columns
    names = _expressions(spelling, columns, span.fallback)
    pairs = list(zip(columns, bound, strict=True))
    signs = {spelling.sign(name, f"{sign}=" if takes else sign) for name in columns}
    # Two rows are compared by one operator, which has to be that of every column's type.
    if len(names) == 1 or (spelling.has_row_values and len(signs) == 1):
        values = ", ".join(spelling.value(name, text) for name, text in pairs)
        rows = (names[0], values) if len(names) == 1 else (f"({', '.join(names)})", f"({values})")
        return f"{rows[0]} {signs.pop()} {rows[1]}"
    # The first comparison is what an index serves; the others decide among equal ones.
    head = _one(names[0], f"{sign}=", *pairs[0], spelling)
    return f"({head} AND {_lexical(names, pairs, sign, spelling, takes=takes)})"


def _one(expression: str, sign: str, name: str, text: str, spelling: Spelling) -> str:
    return f"{expression} {spelling.sign(name, sign)} {spelling.value(name, text)}"


def _lexical(
    names: list[str], pairs: list[tuple[str, str]], sign: str, spelling: Spelling, *, takes: bool
) -> str:
    if len(names) == 1:
        return _one(names[0], f"{sign}=" if takes else sign, *pairs[0], spelling)
    more = _one(names[0], sign, *pairs[0], spelling)
    equal = _one(names[0], "=", *pairs[0], spelling)
    rest = _lexical(names[1:], pairs[1:], sign, spelling, takes=takes)
    return f"({more} OR ({equal} AND {rest}))"


def question_sql(question: KeyProbe, source: str, spelling: Spelling, dialect: Dialect) -> str:
    """Return the statement that answers a question; `source` stands behind FROM."""
    columns, spans = question.columns, question.spans
    if question.place is ProbeKind.NULL:
        tests = " OR ".join(_null_tests(spelling, columns, question.fallback, is_null=True))
        rest = condition(spans, spelling)
        statement = f"SELECT 1 FROM {source} WHERE ({tests}){f' AND {rest}' if rest else ''}"  # noqa: S608
        return dialect.limited(statement, 1)
    if question.place is ProbeKind.EXTREMES:
        test = _extremes(columns[0], question.fallback, spelling)
        rest = condition(spans, spelling)
        counted = f"SELECT {dialect.rows_counted} FROM {source} WHERE {test}"  # noqa: S608
        return f"{counted} AND {rest}" if rest else counted
    if question.place is ProbeKind.ORDER:
        return _order_sql(question, source, spelling)
    # Under names of their own: ORDER BY means an output column before one of the source.
    names = _expressions(spelling, columns, question.fallback)
    texts = ", ".join(
        f"{spelling.text(name, expression)} AS _rivet_k{place}"
        for place, (name, expression) in enumerate(zip(columns, names, strict=True))
    )
    everything = Span(SpanKind.KEY, columns, fallback=question.fallback)
    tail = where((*spans, everything), spelling)
    order = ", ".join(names)
    if question.place is ProbeKind.CUTS:
        inner = (
            f"SELECT {order}, row_number() OVER (ORDER BY {order}) AS _rivet_n"  # noqa: S608
            f" FROM {source}{tail}"
        )
        return (
            f"SELECT {texts} FROM ({inner}) AS {ROW}"  # noqa: S608
            f" WHERE {spelling.is_multiple('_rivet_n', question.rows)} ORDER BY _rivet_n"
        )
    if question.place is ProbeKind.LAST:
        order = ", ".join(f"{name} DESC" for name in names)
    offset = question.rows - 1 if question.place is ProbeKind.STEP else 0
    statement = f"SELECT {texts} FROM {source}{tail} ORDER BY {order}"  # noqa: S608
    return dialect.limited(statement, 1, offset=offset)


def _order_sql(question: KeyProbe, source: str, spelling: Spelling) -> str:
    """Return what sorts bounds as the columns themselves are sorted: no row of them is read."""
    keys = [f"_rivet_k{place}" for place in range(len(question.columns))]
    names = [
        f"{spelling.column(name)} AS {key}"
        for name, key in zip(question.columns, keys, strict=True)
    ]
    parts = [f"SELECT {', '.join(names)}, 0 AS _rivet_n FROM {source} WHERE FALSE"]  # noqa: S608
    for number, bound in enumerate(question.bounds):
        values = [
            spelling.value(name, text) for name, text in zip(question.columns, bound, strict=True)
        ]
        parts.append(f"SELECT {', '.join(values)}, {number}")
    listed = " UNION ALL ".join(parts)
    order = ", ".join(keys)
    return f"SELECT _rivet_n FROM ({listed}) AS rivet_bounds ORDER BY {order}, _rivet_n"  # noqa: S608
