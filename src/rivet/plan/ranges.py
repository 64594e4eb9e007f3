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

_MOST_CHUNKS: Final = 100_000
_SPARSE_CHUNKS: Final = 64
_SPARSE_FACTOR: Final = 4
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


def number_spans(
    column: str, first: str, last: str, *, size: int, count: int | None, rows: int | None
) -> list[Span]:
    """Cut a column of numbers into ranges of equal width.

    Args:
        column: The column.
        first: Its least value.
        last: Its greatest.
        size: Width of a range.
        count: Number of ranges, which then decides the width.
        rows: About how many rows there are; None where unknown.

    Raises:
        UnsupportedPlanError: The values are no numbers, or most ranges would be empty.
    """
    low, high = _number(column, first), _number(column, last)
    width = -(-(high - low + 1) // count) if count is not None else size
    chunks = (high - low) // width + 1
    is_sparse = (
        count is None
        and rows is not None
        and chunks >= _SPARSE_CHUNKS
        and chunks >= _SPARSE_FACTOR * -(-max(rows, 1) // width)
    )
    if is_sparse or chunks > _MOST_CHUNKS:
        msg = (
            f"column '{visible(column)}' runs from {low} to {high}: ranges of {width} make "
            f"{chunks:,} chunks, most of them empty"
        )
        hint = "use `chunk_dense: true` or `chunk_by_key`, which cut by rows, or `chunk_count`"
        raise UnsupportedPlanError(msg, hint=hint, column=column)
    return from_starts(column, (str(start) for start in range(low + width, high + 1, width)))


def day_spans(column: str, first: str, last: str, *, days: int) -> list[Span]:
    """Cut a column of dates or timestamps into spans of whole days, in UTC.

    Raises:
        UnsupportedPlanError: The values are no dates of the calendar, or there are too many days.
    """
    low, high = _day(column, first), _day(column, last)
    count = (high - low).days // days + 1
    if count > _MOST_CHUNKS:
        msg = f"column '{visible(column)}' runs from {low} to {high}: {count:,} chunks"
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
