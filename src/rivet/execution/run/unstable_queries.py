"""Non-deterministic queries: read in one statement, or in chunks where the export insists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rivet.errors import UnsupportedPlanError
from rivet.model.plan import Mode
from rivet.model.relation import Doubt
from rivet.model.shape import WHOLE_SHAPE, Shape, ShapeKind
from rivet.sources.repeats import JudgesRepeats

if TYPE_CHECKING:
    from rivet.config.models import ExportConfig
    from rivet.execution.job import Job
    from rivet.model.relation import Relation, TableFacts

__all__ = ["doubt_of", "less_certain", "undoubted"]

_STABLE = "`query_is_stable: true`"
_RISK = "where its rows differ from one evaluation to the next, they are lost or doubled"


def doubt_of(relation: Relation, facts: TableFacts, session: object) -> Doubt | None:
    """Return why a relation may give other rows each time; None where nothing says so.

    A table that has keys or blocks is no view.
    """
    if relation.table is not None and (facts.keys or facts.indexed or facts.blocks is not None):
        return None
    if not isinstance(session, JudgesRepeats):
        return Doubt("nobody can tell what the query does")
    return session.doubt(relation)


def undoubted(
    shape: Shape, export: ExportConfig, relation: Relation, facts: TableFacts, session: object
) -> Shape:
    """Return how a relation is cut, which is not at all where it may differ each time.

    Raises:
        UnsupportedPlanError: Chunks were to be read side by side.
    """
    if shape.kind is ShapeKind.WHOLE:
        return shape
    doubt = doubt_of(relation, facts, session)
    if doubt is None:
        return shape
    if export.query_is_stable:
        note = f"cut into chunks as {_STABLE} says, although {doubt.why}"
        return replace(shape, note=note if shape.note is None else f"{shape.note}; {note}")
    if export.workers > 1:
        msg = (
            f"export '{export.name}': `parallel: {export.workers}` needs chunks, and {doubt.why}: "
            "each chunk evaluates it anew, so that rows may be lost or doubled"
        )
        hint = f"remove `parallel` to read it as one statement, or set {_STABLE}: {_RISK}"
        raise UnsupportedPlanError(msg, hint=hint, export=export.name)
    note = f"read as one statement, not in chunks: {doubt.why}; {_STABLE} would cut it, and {_RISK}"
    return replace(WHOLE_SHAPE, note=note)


def less_certain(job: Job, session: object) -> Job:
    """Return a job with what the guarantee of its window is worth where rows may differ each time.

    That a query asks for the time is part of what it says: a window is evaluated once.

    Raises:
        UnsupportedPlanError: The export wants a guarantee.
    """
    export, window = job.export, job.window
    goes_on = export.mode is Mode.INCREMENTAL or export.keyset_incremental
    if window is None or not goes_on or export.query_is_stable or window.guarantee is None:
        return job
    doubt = doubt_of(job.plan.relation, job.plan.facts, session)
    if doubt is None or doubt.is_clock:
        return job
    column = export.cursor or export.chunk_by_key
    why = (
        f"not guaranteed: {doubt.why}, so that a row's '{column}' may differ from run to run; "
        f"{_STABLE} says that it does not"
    )
    if export.strict_cursor:
        msg = f"export '{export.name}': `strict_cursor`: the window is {why}"
        hint = "make the query give the same rows each time, or remove `strict_cursor`"
        raise UnsupportedPlanError(msg, hint=hint, export=export.name)
    return replace(job, window=replace(window, guarantee=why, is_certain=False))
