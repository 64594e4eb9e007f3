"""Sparse key ranges: find out whether chunks would mostly be empty, and skip those that are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.errors import UnsupportedPlanError
from rivet.model.relation import KeyProbe
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.plan.ranges import MOST_CHUNKS, day_count, day_end, day_start, number_width
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.relation import Relation
    from rivet.model.shape import Shape
    from rivet.sources.base import AnswersKeyProbes

__all__ = ["day_starts", "is_sparse", "is_sparse_in_days"]

# Fewer chunks are not worth a question.
_MANY: Final = 64
_SAMPLES: Final = 16


def is_sparse(
    shape: Shape, relation: Relation, session: AnswersKeyProbes, bounds: tuple[str, str]
) -> bool:
    """Return whether most ranges of numbers hold no row.

    Raises:
        UnsupportedPlanError: The values are no numbers.
    """
    starts, width = number_width(shape.columns[0], *bounds, size=shape.size, count=None)
    if len(starts) < _MANY:
        return False
    sample = [starts[len(starts) * place // _SAMPLES] for place in range(_SAMPLES)]
    ranges = [(str(start), str(start + width)) for start in sample]
    return _are_mostly_empty(shape, relation, session, ranges)


def is_sparse_in_days(
    shape: Shape, relation: Relation, session: AnswersKeyProbes, bounds: tuple[str, str]
) -> int:
    """Return how many spans of days there would be where most of them hold no row; else 0.

    Raises:
        UnsupportedPlanError: The values are no dates of the calendar.
    """
    column, days = shape.columns[0], shape.size
    count = day_count(column, *bounds, days=days)
    if count < _MANY:
        return 0
    ranges = []
    for place in range(_SAMPLES):
        start = bounds[0][:10]
        if number := count * place // _SAMPLES:
            start = day_end(column, start, days=days * number) or start
        if (end := day_end(column, start, days=days)) is not None:
            ranges.append((start, end))
    return count if _are_mostly_empty(shape, relation, session, ranges) else 0


def _are_mostly_empty(
    shape: Shape, relation: Relation, session: AnswersKeyProbes, ranges: Sequence[tuple[str, str]]
) -> bool:
    """Ask for a few ranges from all over the column; far fewer than there would be chunks."""
    held = 0
    for low, high in ranges:
        span = Span(
            SpanKind.KEY, shape.columns, (low,), (high,), takes_lower=True, takes_upper=False
        )
        held += bool(
            session.probe_keys(KeyProbe(relation, shape.columns, ProbeKind.FIRST, (span,)))
        )
    return held < len(ranges) / 2


def day_starts(
    shape: Shape, relation: Relation, session: AnswersKeyProbes, first: str
) -> list[str]:
    """Return where spans of days begin that hold rows, without that of the first value.

    Raises:
        UnsupportedPlanError: There are too many.
    """
    column, days = shape.columns[0], shape.size
    starts: list[str] = []
    start = first[:10]
    while (end := day_end(column, start, days=days)) is not None:
        rest = Span(SpanKind.KEY, shape.columns, (end,), takes_lower=True)
        found = session.probe_keys(KeyProbe(relation, shape.columns, ProbeKind.FIRST, (rest,)))
        if not found:
            break
        start = day_start(column, first, found[0][0], days=days, after=start)
        starts.append(start)
        if len(starts) > MOST_CHUNKS:
            msg = f"column '{visible(column)}' has rows on more than {MOST_CHUNKS:,} spans of days"
            raise UnsupportedPlanError(msg, hint="raise `chunk_by_days`", column=column)
    return starts
