"""Row estimates: one that would take chunks away is proven first, or taken for unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from rivet.model.relation import KeyProbe
from rivet.model.shape import ShapeKind
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.plan.shapes import resolve_shape, rows_per_chunk
from rivet.sources.base import AnswersKeyProbes, Counts

if TYPE_CHECKING:
    from rivet.model.relation import Key, Relation, TableFacts
    from rivet.model.shape import ChunkRules, Shape

__all__ = ["shape_of"]


class CountableSource(AnswersKeyProbes, Counts, Protocol):
    """What proving an estimate asks: whether a row lies so far on, or how many there are."""


def shape_of(
    rules: ChunkRules,
    relation: Relation,
    facts: TableFacts,
    never_null: frozenset[str],
    session: CountableSource,
) -> tuple[Shape, TableFacts]:
    """Return how a relation is cut, and the facts that this rests on.

    Statistics may be of a time when the table had a few rows.

    Raises:
        UnsupportedPlanError: There is no safe way to cut it as asked.
        SourceError: The source cannot answer.
    """
    shape = resolve_shape(rules, relation, facts, never_null)
    if shape.kind is not ShapeKind.WHOLE:
        return shape, facts
    if not _has_more(rows_per_chunk(rules, facts), relation, facts, session):
        return shape, facts
    unknown = replace(facts, estimated_rows=None)
    return resolve_shape(rules, relation, unknown, never_null), unknown


def _has_more(rows: int, relation: Relation, facts: TableFacts, session: CountableSource) -> bool:
    """Return whether a relation has more rows than so many."""
    if not facts.keys:
        return session.count(relation) > rows
    key = facts.keys[0]
    if key.is_integer and _is_narrow(rows, key, relation, session):
        return False
    span = Span(SpanKind.KEY, key.columns)
    return bool(
        session.probe_keys(KeyProbe(relation, key.columns, ProbeKind.STEP, (span,), rows + 1))
    )


def _is_narrow(rows: int, key: Key, relation: Relation, session: AnswersKeyProbes) -> bool:
    """Return whether a key of whole numbers has no room for more rows, which two seeks tell."""
    first = session.probe_keys(KeyProbe(relation, key.columns, ProbeKind.FIRST))
    last = session.probe_keys(KeyProbe(relation, key.columns, ProbeKind.LAST))
    return not first or not last or int(last[0][0]) - int(first[0][0]) < rows
