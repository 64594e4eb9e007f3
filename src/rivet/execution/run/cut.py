"""Chunking: cut a relation into spans by asking the source for bounds of its keys.

Only the sizes of chunks depend on when this is asked: the outermost spans are open, so that they
hold every row of whatever instant they are read in. Bounds rise for the source itself, or they are
not used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from rivet.errors import UnsupportedPlanError
from rivet.execution.run.sparse_ranges import day_starts, is_sparse, is_sparse_in_days
from rivet.model.columns import ColumnRules
from rivet.model.relation import KeyProbe
from rivet.model.shape import ShapeKind
from rivet.model.span import WHOLE, ProbeKind, Span, SpanKind
from rivet.model.types import Kind
from rivet.plan.ranges import (
    between,
    blocks,
    day_spans,
    even_bounds,
    from_starts,
    number_spans,
    number_width,
    picked_bounds,
)
from rivet.redact import visible
from rivet.sources.base import AnswersKeyProbes, DescribesRelations
from rivet.sources.slices import ascends

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rivet.model.relation import Relation, TableFacts
    from rivet.model.shape import Shape

# Whatever is of these is compared as what its text says; a text that looks like a number is not.
_COMPARED_BY_MEANING: Final = frozenset(
    {
        *(Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT64, Kind.DECIMAL),
        *(Kind.DATE, Kind.TIMESTAMP),
    }
)


class CuttableSource(AnswersKeyProbes, DescribesRelations, Protocol):
    """What cutting by ranges asks: where keys lie, and whether they sort as what they say."""


def _untold(_: str) -> None:
    """Tell nobody."""


def cut(
    shape: Shape,
    relation: Relation,
    facts: TableFacts,
    session: CuttableSource,
    tell: Callable[[str], None] = _untold,
) -> tuple[Span, ...]:
    """Return the spans of a relation's chunks; every row is in exactly one of them.

    Args:
        shape: How it is cut.
        relation: What is cut.
        facts: What the catalog says of it.
        session: Is asked where keys lie.
        tell: Is told where something else was done than was asked for.

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
            spans = _widths(shape, relation, session, tell)
    if shape.may_hold_null:
        spans.append(Span(SpanKind.NULLS, shape.columns))
    return tuple(spans)


def _about(
    shape: Shape, relation: Relation, facts: TableFacts, session: AnswersKeyProbes
) -> list[tuple[str, ...]] | None:
    """Return bounds from what is known of a key; None where its index has to be walked.

    The walk reads the whole index, on some engines the whole table, before the first row.
    """
    key = next((key for key in facts.keys if key.columns == shape.columns), None)
    if not shape.is_estimated or key is None or not facts.estimated_rows or len(key.columns) > 1:
        return None
    count = -(-facts.estimated_rows // shape.size)
    count = count if shape.count is None else min(count, shape.count)
    if key.is_integer:
        first = session.probe_keys(_first(relation, key.columns, Span(SpanKind.KEY, key.columns)))
        last = session.probe_keys(KeyProbe(relation, key.columns, ProbeKind.LAST))
        if not first or not last:
            return []
        rows = facts.estimated_rows
        bounds = even_bounds(first[0][0], last[0][0], count=count, rows=rows)
        if bounds is not None:
            return bounds
    picked = picked_bounds(facts.quantiles.get(key.columns[0], ()), count)
    # An index made under another version of a collation sorts otherwise than the server does now.
    if picked is not None and not ascends(session.probe_keys, relation, key.columns, picked):
        return None
    return picked


def _bounds(shape: Shape, relation: Relation, session: AnswersKeyProbes) -> list[tuple[str, ...]]:
    """Return the key of every `size`-th row, by an index where there is one.

    Raises:
        UnsupportedPlanError: The values found do not rise when they are sent back.
    """
    found = (
        _walked(shape, relation, session) if shape.is_indexed else _listed(shape, relation, session)
    )
    if not ascends(session.probe_keys, relation, shape.columns, found):
        raise _not_rising(shape.columns)
    return found


def _not_rising(columns: Sequence[str]) -> UnsupportedPlanError:
    listed = ", ".join(f"'{visible(name)}'" for name in columns)
    msg = f"bounds by {listed} do not rise: the source does not find a value where it was"
    return UnsupportedPlanError(msg, hint="cut by another column, or use `mode: full`")


def _listed(shape: Shape, relation: Relation, session: AnswersKeyProbes) -> list[tuple[str, ...]]:
    question = KeyProbe(relation, shape.columns, ProbeKind.CUTS, rows=shape.size)
    # Equal values follow one another.
    return list(dict.fromkeys(session.probe_keys(question)))[: _limit(shape)]


def _walked(shape: Shape, relation: Relation, session: AnswersKeyProbes) -> list[tuple[str, ...]]:
    columns = shape.columns
    found: dict[tuple[str, ...], None] = {}
    last: tuple[str, ...] | None = None
    while len(found) != _limit(shape):
        rest = Span(SpanKind.KEY, columns, lower=last)
        step = session.probe_keys(KeyProbe(relation, columns, ProbeKind.STEP, (rest,), shape.size))
        if not step:
            break
        last = step[0]
        if last in found:
            raise _not_rising(columns)
        found[last] = None
    if found and not session.probe_keys(
        _first(relation, columns, Span(SpanKind.KEY, columns, last))
    ):
        found.popitem()  # nothing lies behind the last bound
    return list(found)


def _limit(shape: Shape) -> int | None:
    return None if shape.count is None else shape.count - 1


def _first(relation: Relation, columns: tuple[str, ...], span: Span) -> KeyProbe:
    return KeyProbe(relation, columns, ProbeKind.FIRST, (span,))


def _widths(
    shape: Shape, relation: Relation, session: CuttableSource, tell: Callable[[str], None]
) -> list[Span]:
    column = shape.columns[0]
    everything = Span(SpanKind.KEY, shape.columns)
    first = session.probe_keys(_first(relation, shape.columns, everything))
    last = session.probe_keys(KeyProbe(relation, shape.columns, ProbeKind.LAST))
    if not first or not last:
        return [everything]
    bounds = first[0][0], last[0][0]
    if shape.kind is ShapeKind.DAYS:
        spans = _days(shape, relation, session, bounds, tell)
    elif shape.count is None and is_sparse(shape, relation, session, bounds):
        starts, width = number_width(column, *bounds, size=shape.size, count=None)
        rows = replace(shape, kind=ShapeKind.ROWS, size=width)
        spans = between(shape.columns, _bounds(rows, relation, session))
        tell(
            f"column '{visible(column)}' runs from {starts.start} to {starts.stop - 1}: ranges of "
            f"{width:,} would be {len(starts):,} chunks, most of them empty; it is cut by rows "
            f"instead, into {len(spans):,} of about {width:,} rows"
        )
        return spans
    else:
        spans = number_spans(column, *bounds, size=shape.size, count=shape.count)
    inner = [span.lower for span in spans if span.lower is not None]
    if not _is_compared_by_meaning(column, relation, session) and not ascends(
        session.probe_keys, relation, shape.columns, inner
    ):
        msg = f"column '{visible(column)}' holds texts, which do not sort as what they say"
        hint = "use `chunk_dense: true`, which cuts by the column's own order"
        raise UnsupportedPlanError(msg, hint=hint, column=column)
    return spans


def _is_compared_by_meaning(column: str, relation: Relation, session: DescribesRelations) -> bool:
    (described,) = session.columns(relation, ColumnRules(include=(column,)))
    return described.logical.kind in _COMPARED_BY_MEANING


def _days(
    shape: Shape,
    relation: Relation,
    session: AnswersKeyProbes,
    bounds: tuple[str, str],
    tell: Callable[[str], None],
) -> list[Span]:
    """Return spans of whole days; empty stretches are not cut."""
    column, days = shape.columns[0], shape.size
    asked = is_sparse_in_days(shape, relation, session, bounds)
    if not asked:
        return day_spans(column, *bounds, days=days)
    spans = from_starts(column, day_starts(shape, relation, session, bounds[0]))
    tell(
        f"column '{visible(column)}': {days} days each would be {asked:,} chunks, most of them "
        f"empty; empty stretches are jumped over, which leaves {len(spans):,}"
    )
    return spans
