"""Cut a relation into spans: ask the source where its keys lie, and let `plan/` do the arithmetic.

Only the sizes of chunks depend on when this is asked: the outermost spans are open, so that they
hold every row of whatever instant they are read in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.model.relation import Question
from rivet.model.shape import ShapeKind
from rivet.model.span import WHOLE, Place, Span, SpanKind
from rivet.plan.ranges import (
    between,
    blocks,
    day_spans,
    even_bounds,
    number_spans,
    picked_bounds,
)

if TYPE_CHECKING:
    from rivet.model.relation import Relation, TableFacts
    from rivet.model.shape import Shape
    from rivet.sources.base import Session


def cut(shape: Shape, relation: Relation, facts: TableFacts, session: Session) -> tuple[Span, ...]:
    """Return the spans of a relation's chunks; every row is in exactly one of them.

    Raises:
        UnsupportedPlanError: The values cannot be cut as asked.
        SourceError: The source cannot answer; that is never taken for "no rows".
    """
    match shape.kind:
        case ShapeKind.WHOLE:
            return (WHOLE,)
        case ShapeKind.BLOCKS:
            return tuple(blocks(facts.blocks or 0, shape.size))
        case ShapeKind.ROWS:
            bounds = _about(shape, relation, facts, session)
            if bounds is None:
                bounds = _bounds(shape, relation, session)
            spans = between(shape.columns, bounds)
        case _:
            spans = _widths(shape, relation, facts, session)
    if shape.may_hold_null:
        spans.append(Span(SpanKind.NULLS, shape.columns))
    return tuple(spans)


def _about(
    shape: Shape, relation: Relation, facts: TableFacts, session: Session
) -> list[tuple[str, ...]] | None:
    """Return bounds from what is known of a key; None where its index has to be walked.

    The walk reads the whole index, on some engines the whole table, before the first row.
    """
    key = next((key for key in facts.keys if key.columns == shape.columns), None)
    if not shape.is_about or key is None or not facts.estimated_rows or len(key.columns) > 1:
        return None
    count = -(-facts.estimated_rows // shape.size)
    count = count if shape.count is None else min(count, shape.count)
    if key.is_integer:
        first = session.look(_first(relation, key.columns, Span(SpanKind.KEY, key.columns)))
        last = session.look(Question(relation, key.columns, Place.LAST))
        if not first or not last:
            return []
        rows = facts.estimated_rows
        bounds = even_bounds(first[0][0], last[0][0], count=count, rows=rows)
        if bounds is not None:
            return bounds
    return picked_bounds(facts.quantiles.get(key.columns[0], ()), count)


def _bounds(shape: Shape, relation: Relation, session: Session) -> list[tuple[str, ...]]:
    """Return the key of every `size`-th row, by an index where there is one."""
    columns = shape.columns
    if not shape.is_indexed:
        question = Question(relation, columns, Place.CUTS, rows=shape.size)
        return session.look(question)[: _limit(shape)]
    found: list[tuple[str, ...]] = []
    last: tuple[str, ...] | None = None
    while len(found) != _limit(shape):
        rest = Span(SpanKind.KEY, columns, lower=last)
        step = session.look(Question(relation, columns, Place.STEP, (rest,), shape.size))
        if not step:
            break
        last = step[0]
        found.append(last)
    if found and not session.look(_first(relation, columns, Span(SpanKind.KEY, columns, last))):
        found.pop()  # nothing lies behind the last bound
    return found


def _limit(shape: Shape) -> int | None:
    return None if shape.count is None else shape.count - 1


def _first(relation: Relation, columns: tuple[str, ...], span: Span) -> Question:
    return Question(relation, columns, Place.FIRST, (span,))


def _widths(shape: Shape, relation: Relation, facts: TableFacts, session: Session) -> list[Span]:
    column = shape.columns[0]
    everything = Span(SpanKind.KEY, shape.columns)
    first = session.look(_first(relation, shape.columns, everything))
    last = session.look(Question(relation, shape.columns, Place.LAST))
    if not first or not last:
        return [everything]
    bounds = first[0][0], last[0][0]
    if shape.kind is ShapeKind.DAYS:
        return day_spans(column, *bounds, days=shape.size)
    rows = facts.estimated_rows
    return number_spans(column, *bounds, size=shape.size, count=shape.count, rows=rows)
