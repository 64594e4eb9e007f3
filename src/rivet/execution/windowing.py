"""The window of one run: what it takes, up to where, and what that guarantees."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rivet.config.resolve import settle_of
from rivet.errors import UnsupportedPlanError
from rivet.model.columns import ColumnRules
from rivet.model.plan import Mode
from rivet.model.relation import Question
from rivet.model.span import Place, Span, SpanKind
from rivet.model.window import Window
from rivet.plan.windows import (
    family_of,
    guarantee_of,
    high_of_clock,
    is_ahead,
    looked_back,
    low_of,
    position_at,
)
from rivet.state.reference import refuse_unimported

if TYPE_CHECKING:
    from rivet.config.models import ExportConfig
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.model.columns import Column
    from rivet.model.relation import Relation
    from rivet.model.window import Horizon
    from rivet.plan.windows import Low
    from rivet.sources.base import Session

_CLOCK = frozenset({"timestamp", "date"})


def window_of(
    export: ExportConfig, job: Job, session: Session, context: RunContext
) -> Window | None:
    """Return the window of a run; None for modes that have none.

    Raises:
        UnsupportedPlanError: The column cannot be a cursor, or its guarantee is not enough.
        StalePlanError: The watermark does not fit the cursor any more.
        SourceError: The source cannot answer.
    """
    bounds = context.options.backfill
    if bounds is not None:
        return _backfill(export, job, bounds)
    if export.mode is Mode.TIME_WINDOW:
        return _days(export, job)
    if export.mode is Mode.INCREMENTAL or export.keyset_incremental:
        return _Cursor(export, job.plan.relation, job.plan.engine, session).window(context)
    return None


def _days(export: ExportConfig, job: Job) -> Window:
    """Return the last days up to now: from midnight in UTC, without an end."""
    start = (job.plan.started_at - timedelta(days=export.days_window or 0)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    is_unix = export.time_column_type == "unix"
    low = str(int(start.timestamp())) if is_unix else start.date().isoformat()
    span = Span(SpanKind.KEY, (export.time_column or "",), (low,), takes_lower=True)
    return Window((span,), low)


def _backfill(export: ExportConfig, job: Job, bounds: tuple[str, str]) -> Window:
    column = export.cursor_column or export.time_column or export.chunk_by_key
    if column is None:
        msg = f"export '{export.name}': a backfill needs `cursor_column` or `time_column`"
        raise UnsupportedPlanError(msg, hint="run the export itself", export=job.plan.export_name)
    low, high = bounds
    span = Span(
        SpanKind.KEY,
        (column,),
        (low,),
        (high,),
        takes_lower=True,
        takes_upper=False,
        fallback=export.cursor_fallback_column,
    )
    return Window((span,), low, high)


class _Cursor:
    """One incremental export's cursor, looked at through one session."""

    def __init__(
        self, export: ExportConfig, relation: Relation, engine: str, session: Session
    ) -> None:
        self._export = export
        self._relation = relation
        self._engine = engine
        self._session = session
        self._name = export.cursor_column or export.chunk_by_key or ""
        column = self._described()
        self._family = family_of(self._name, column.logical)
        self._is_zoned = column.logical.is_utc
        self._may_be_null = column.nullable

    def _described(self) -> Column:
        # By itself, under no rules: masks, renames and overrides of the export are for the files.
        rules = ColumnRules(include=(self._name,))
        return self._session.columns(self._relation, rules)[0]

    def window(self, context: RunContext) -> Window:
        export = self._export
        if not context.options.fresh:
            refuse_unimported(context.state, context.config.base_dir, export.name)
        watermark = None if context.options.fresh else context.state.watermark(export.name)
        known = low_of(export.name, watermark, self._family)
        low = looked_back(known, self._family, export.lookback_s)
        horizon, high, takes_high = self._high(low)
        lag_s = settle_of(export)[1]
        guarantee, is_certain = guarantee_of(horizon, lag_s, self._name)
        if export.strict_cursor and not is_certain:
            msg = f"export '{export.name}': `strict_cursor`: the window is {guarantee}"
            raise UnsupportedPlanError(msg, hint="remove `strict_cursor` to take what is there")
        if high is None or not is_ahead(high, known.text, self._family):
            return Window((), known.text, known.text, None, None, guarantee, is_certain)
        span = self._span(low, high, takes_high=takes_high)
        spans = [span]
        if watermark is None and (self._may_be_null or export.cursor_fallback_column):
            spans.append(Span(SpanKind.NULLS, (self._name,), fallback=span.fallback))
        return Window(
            tuple(spans),
            low.text,
            high,
            position_at(self._engine, self._family, high, is_before=not takes_high),
            known.text if low != known else None,
            guarantee,
            is_certain,
        )

    def _high(self, low: Low) -> tuple[Horizon | None, str | None, bool]:
        """Return times, the end of the window (None: nothing is there), and whether it holds it."""
        column, lag_s = settle_of(self._export)
        if self._family in _CLOCK and column in {None, self._name}:
            horizon = self._session.horizon(is_zoned=self._is_zoned)
            return horizon, high_of_clock(horizon, lag_s, self._family), False
        if column is not None:
            unsettled = self._unsettled(column, lag_s)
            if unsettled is not None:
                return None, unsettled, False
        rest = self._span(low, None, takes_high=True)
        last = self._look(Place.LAST, rest)
        return None, last, True

    def _unsettled(self, column: str, lag_s: int) -> str | None:
        """Return the least cursor of rows that may still change; None where there are none."""
        described = self._session.columns(self._relation, ColumnRules(include=(column,)))[0]
        family = family_of(column, described.logical)
        if family not in _CLOCK:
            msg = f"`settle.column` '{column}' is no timestamp"
            raise UnsupportedPlanError(msg, hint="name the column that tells a row's age")
        horizon = self._session.horizon(is_zoned=described.logical.is_utc)
        since = high_of_clock(horizon, lag_s, family)
        young = Span(SpanKind.KEY, (column,), (since,), takes_lower=True)
        return self._look(Place.FIRST, young)

    def _span(self, low: Low, high: str | None, *, takes_high: bool) -> Span:
        return Span(
            SpanKind.KEY,
            (self._name,),
            None if low.text is None else (low.text,),
            None if high is None else (high,),
            takes_lower=low.takes_it,
            takes_upper=takes_high,
            fallback=self._export.cursor_fallback_column,
        )

    def _look(self, place: Place, span: Span) -> str | None:
        question = Question(self._relation, (self._name,), place, (span,), fallback=span.fallback)
        found = self._session.look(question)
        return found[0][0] if found else None
