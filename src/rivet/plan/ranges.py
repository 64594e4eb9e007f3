"""Spans from bounds: arithmetic over what the source said of a column's first and last value."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from math import floor
from typing import TYPE_CHECKING, Final

from rivet.errors import UnsupportedPlanError
from rivet.model.span import Span, SpanKind
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_CHUNKS: Final = 100_000
"""More of them are a mistake."""
_ISO_DATE: Final = 10
_LEAST_DENSITY: Final = 0.75
_QUANTILES_PER_CHUNK: Final = 4


def between(columns: tuple[str, ...], bounds: Iterable[tuple[str, ...]]) -> list[Span]:
    """Return spans that share each bound, the first and the last one open: rows up to a bound."""
    edges = [None, *dict.fromkeys(bounds), None]
    return [Span(SpanKind.KEY, columns, lower, upper) for lower, upper in pairwise(edges)]


def even_bounds(first: str, last: str, *, count: int, rows: int) -> list[tuple[str, ...]] | None:
    """Return the bounds of equal widths over whole numbers; None where gaps make rows unequal.

    Args:
        first: The least number.
        last: The greatest.
        count: How many chunks.
        rows: About how many rows there are, no two of the same number.
    """
    low, width = int(first), int(last) - int(first) + 1
    if rows < _LEAST_DENSITY * width:
        return None
    # A chunk holds a number at least: a bound before the first might not be of the column's type.
    count = min(count, width)
    return [(str(low + width * number // count - 1),) for number in range(1, count)]


def picked_bounds(quantiles: Sequence[str], count: int) -> list[tuple[str, ...]] | None:
    """Return which quantiles bound chunks of about equal rows; None where there are too few."""
    bins = len(quantiles) - 1
    if bins < _QUANTILES_PER_CHUNK * count:
        return None
    return [(quantiles[round(bins * number / count)],) for number in range(1, count)]


def from_starts(column: str, starts: Iterable[str]) -> list[Span]:
    """Return spans that begin at each start, the first and the last one open."""
    edges = [None, *((start,) for start in starts), None]
    return [
        Span(SpanKind.KEY, (column,), lower, upper, takes_lower=True, takes_upper=False)
        for lower, upper in pairwise(edges)
    ]


def blocks(count: int, size: int) -> list[Span]:
    """Return spans of `size` blocks each; the last one is open, as a table may have grown."""
    starts = list(range(0, max(count, 1), size))
    edges = [*((str(start),) for start in starts), None]
    return [Span(SpanKind.BLOCKS, (), lower, upper) for lower, upper in pairwise(edges)]


def number_width(
    column: str, first: str, last: str, *, size: int, count: int | None
) -> tuple[range, int]:
    """Return where ranges of equal width over a column of numbers begin, and their width.

    Args:
        column: The column.
        first: Its least value.
        last: Its greatest.
        size: Width of a range.
        count: Number of ranges, which then decides the width.

    Raises:
        UnsupportedPlanError: The values are no numbers.
    """
    low, high = _number(column, first), _number(column, last)
    width = -(-(high - low + 1) // count) if count is not None else size
    return range(low, high + 1, width), width


def number_spans(column: str, first: str, last: str, *, size: int, count: int | None) -> list[Span]:
    """Cut a column of numbers into ranges of equal width.

    Args:
        column: The column.
        first: Its least value.
        last: Its greatest.
        size: Width of a range.
        count: Number of ranges, which then decides the width.

    Raises:
        UnsupportedPlanError: The values are no numbers, or there are too many ranges.
    """
    starts, width = number_width(column, first, last, size=size, count=count)
    if len(starts) > MOST_CHUNKS:
        msg = (
            f"column '{visible(column)}' runs from {starts.start} to {starts.stop - 1}: ranges of "
            f"{width} make {len(starts):,} chunks"
        )
        hint = "raise `chunk_size`, or give `chunk_count` instead"
        raise UnsupportedPlanError(msg, hint=hint, column=column)
    return from_starts(column, map(str, starts[1:]))


def day_count(column: str, first: str, last: str, *, days: int) -> int:
    """Return how many spans of whole days there are from the first to the last value.

    Raises:
        UnsupportedPlanError: The values are no dates of the calendar.
    """
    return (_day(column, last) - _day(column, first)).days // days + 1


def day_start(column: str, first: str, value: str, *, days: int, after: str) -> str:
    """Return the start of the span of days, counted from the first value, that holds a value.

    It comes after the start `after`, whatever zone the texts are of.

    Raises:
        UnsupportedPlanError: The values are no dates of the calendar.
    """
    low = _day(column, first)
    number = (_day(column, value) - low).days // days
    least = (_day(column, after) - low).days // days + 1
    return (low + timedelta(days=days * max(number, least))).isoformat()


def day_end(column: str, start: str, *, days: int) -> str | None:
    """Return the day behind a span of days; None behind the last day of the calendar."""
    try:
        return (_day(column, start) + timedelta(days=days)).isoformat()
    except OverflowError:
        return None


def day_spans(column: str, first: str, last: str, *, days: int) -> list[Span]:
    """Cut a column of dates or timestamps into spans of whole days, in UTC.

    Raises:
        UnsupportedPlanError: The values are no dates of the calendar, or there are too many days.
    """
    low, count = _day(column, first), day_count(column, first, last, days=days)
    if count > MOST_CHUNKS:
        msg = f"column '{visible(column)}' runs over {count:,} chunks of {days} days"
        raise UnsupportedPlanError(msg, hint="raise `chunk_by_days`", column=column)
    starts = (low + timedelta(days=days * number) for number in range(1, count))
    return from_starts(column, (start.isoformat() for start in starts))


def _number(column: str, text: str) -> int:
    try:
        return floor(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError) as error:
        msg = f"`chunk_column`: column '{visible(column)}' holds no numbers to make ranges of"
        hint = "use `chunk_by_days` for dates, or `chunk_dense: true` for anything with an order"
        raise UnsupportedPlanError(msg, hint=hint, column=column) from error


def _day(column: str, text: str) -> date:
    try:
        return date.fromisoformat(text[:_ISO_DATE])
    except ValueError as error:
        msg = f"`chunk_by_days`: column '{visible(column)}' holds a value that is no date"
        hint = "use `chunk_dense: true`, which cuts by rows"
        raise UnsupportedPlanError(msg, hint=hint, column=column) from error
