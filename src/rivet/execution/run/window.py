"""Incremental window of one run: its lower and upper bound, and what that guarantees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from rivet.config.resolve import settle_of, zone_of
from rivet.errors import UnsupportedPlanError
from rivet.model.columns import ColumnRules
from rivet.model.plan import Mode
from rivet.model.relation import KeyProbe
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.model.types import Kind
from rivet.model.window import Window
from rivet.plan.windows import (
    CLOCKS,
    clock_end,
    family_of,
    guarantee_of,
    looked_back,
    low_of,
    position_at,
    position_at_start,
    without_zone,
)
from rivet.redact import visible
from rivet.sources.base import AnswersKeyProbes, DescribesRelations, KnowsHorizon
from rivet.state.continuity import run_behind
from rivet.state.reference import refuse_unimported

if TYPE_CHECKING:
    from rivet.config.models import ExportConfig
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.model.columns import Column
    from rivet.model.relation import Relation
    from rivet.model.source import Position
    from rivet.model.window import Horizon, Lack
    from rivet.plan.windows import Low


class CursorSource(AnswersKeyProbes, DescribesRelations, KnowsHorizon, Protocol):
    """What a window asks: the last value, the type of the cursor, and what may still be written."""


def window_of(
    export: ExportConfig, job: Job, session: CursorSource, context: RunContext
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
        return _Cursor(export, job.plan.relation, job.plan.engine, session).window(job, context)
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
    column = export.cursor or export.cursor_column or export.time_column or export.chunk_by_key
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
        self, export: ExportConfig, relation: Relation, engine: str, session: CursorSource
    ) -> None:
        self._export = export
        self._relation = relation
        self._engine = engine
        self._session = session
        self._name = export.cursor or ""
        self._column = self._described(self._name)
        self._family = family_of(self._name, self._column.logical)
        self._zone = zone_of(export)
        self._lag_s = settle_of(export)[1]
        self._check_clocks()

    def _described(self, name: str) -> Column:
        # By itself, under no rules: masks, renames and overrides of the export are for the files.
        return self._session.columns(self._relation, ColumnRules(include=(name,)))[0]

    def _check_clocks(self) -> None:
        """Refuse what only makes sense with a clock where there is none."""
        name = settle_of(self._export)[0] or self._name
        logical = self._described(name).logical if name != self._name else self._column.logical
        if self._export.settle is not None and logical.kind is not Kind.TIMESTAMP:
            msg = f"`settle`: column '{visible(name)}' ({logical.label}) is no timestamp"
            hint = "name the timestamp that tells a row's age in `settle.column`, or remove it"
            raise UnsupportedPlanError(msg, hint=hint, column=name)
        is_clock = logical.kind in {Kind.TIMESTAMP, Kind.DATE}
        if self._zone is not None and (logical.is_utc or not is_clock):
            why = "holds instants already" if logical.is_utc else "is on no wall clock"
            msg = f"`cursor_zone`: column '{visible(name)}' ({logical.label}) {why}"
            raise UnsupportedPlanError(msg, hint="remove `cursor_zone`", column=name)

    def window(self, job: Job, context: RunContext) -> Window:
        export = self._export
        if not context.options.fresh:
            refuse_unimported(context.state, context.config.base_dir, export.name)
        watermark = None if context.options.fresh else context.state.watermark(export.name)
        known = low_of(export.name, watermark, self._family)
        low = looked_back(known, self._column.logical, export.lookback_s, self._zone)
        found = self._end(known)
        guarantee, is_certain = guarantee_of(found.horizon, found.lacks, self._lag_s, self._name)
        if export.strict_cursor and not is_certain:
            msg = f"export '{export.name}': `strict_cursor`: the window is {guarantee}"
            raise UnsupportedPlanError(msg, hint="remove `strict_cursor` to take what is there")
        is_first = watermark is None
        spans = self._spans(known, low, found.last)
        spans += self._outside() if is_first else []
        position = self._position(found.last, is_first=is_first)
        remarks = [] if is_certain or export.lookback_s else self._ties(job)
        return Window(
            tuple(spans),
            low.text,
            found.last if found.last is not None else known.text,
            position,
            known.text if low != known else None,
            guarantee,
            is_certain,
            tuple(remarks),
            None if is_first else self._left_out(),
            None if is_first else run_behind(context.state, export.name),
        )

    def _position(self, last: str | None, *, is_first: bool) -> Position | None:
        if last is not None:
            return position_at(self._engine, self._family, last)
        return position_at_start(self._engine, self._family) if is_first else None

    def _spans(self, known: Low, low: Low, last: str | None) -> list[Span]:
        """Return what is read up to the last value; without one, what is read again."""
        if last is not None:
            return [self._span(low, last, takes_high=True)]
        if low == known or known.text is None:
            return []
        return [self._span(low, known.text, takes_high=not known.takes_it)]

    def _outside(self) -> list[Span]:
        """Return what has no place in the order and comes with the first run."""
        fallback = self._export.cursor_fallback
        kinds = [SpanKind.NULLS] if self._column.nullable or fallback else []
        if self._may_be_extreme:
            kinds.append(SpanKind.EXTREMES)
        return [Span(kind, (self._name,), fallback=fallback) for kind in kinds]

    @property
    def _may_be_extreme(self) -> bool:
        is_number = "numeric" in self._column.native_type.lower()
        kind = self._column.logical.kind
        return is_number or kind in {Kind.TIMESTAMP, Kind.DATE, Kind.DECIMAL}

    def _left_out(self) -> str | None:
        """Return what to say of rows that came with the first run, or came later and are missed."""
        found = [one for one in (self._without_value(), self._without_end()) if one is not None]
        return "; ".join(found) or None

    def _without_value(self) -> str | None:
        if not self._column.nullable or self._look(ProbeKind.NULL, Span(SpanKind.ALL)) is None:
            return None
        return (
            f"there are rows without a '{visible(self._name)}' (NULL): they come with the first "
            "run only, and those that came later are not read"
        )

    def _without_end(self) -> str | None:
        if not self._may_be_extreme:
            return None
        everything = Span(SpanKind.ALL)
        count = self._look(ProbeKind.EXTREMES, everything)
        if count is None or count == "0":
            return None
        return (
            f"{int(count):,} rows have no finite '{visible(self._name)}' (NaN or infinity): they "
            "come with the first run only, and those that came later are not read"
        )

    def _ties(self, job: Job) -> list[str]:
        if any(key.columns == (self._name,) for key in job.plan.facts.keys):
            return []
        name = visible(self._name)
        return [
            f"'{name}' is not unique: rows that come later with the last value that was read are "
            "missed; `lookback` reads them again"
        ]

    def _end(self, known: Low) -> _End:
        """Return where the window ends: the last value that is there and will not be passed."""
        column = settle_of(self._export)[0]
        if self._family in CLOCKS and column in {None, self._name}:
            horizon, lacks, high = self._clock(self._name, self._column)
            last = self._last(known, high)
            return _End(last, horizon, lacks)
        last = self._last(known, None)
        if column is not None and last is not None:
            # Asked after the last row: whatever is younger than the answer lies behind it.
            since = self._clock(column, self._described(column))[2]
            young = Span(SpanKind.KEY, (column,), (since,), takes_lower=True)
            unsettled = self._look(ProbeKind.FIRST, young)
            if unsettled is not None:
                last = self._last(known, unsettled)
        return _End(last)

    def _clock(self, name: str, column: Column) -> tuple[Horizon, tuple[Lack, ...], str]:
        """Return the server's times, what they lack for a column, and the end of the window."""
        is_zoned = column.logical.is_utc
        horizon = self._session.commit_horizon(is_zoned=is_zoned)
        family = family_of(name, column.logical)
        high = clock_end(horizon, self._lag_s, family, is_zoned=is_zoned, zone=self._zone)
        is_known = is_zoned or self._zone is not None
        lacks = horizon.lacks if is_known else (*horizon.lacks, without_zone(name))
        return horizon, lacks, high

    def _last(self, low: Low, high: str | None) -> str | None:
        return self._look(ProbeKind.LAST, self._span(low, high, takes_high=False))

    def _span(self, low: Low, high: str | None, *, takes_high: bool) -> Span:
        return Span(
            SpanKind.KEY,
            (self._name,),
            None if low.text is None else (low.text,),
            None if high is None else (high,),
            takes_lower=low.takes_it,
            takes_upper=takes_high,
            fallback=self._export.cursor_fallback,
            # A bound on each side leaves out what is no number or moment by itself.
            is_finite=self._may_be_extreme and (low.text is None or high is None),
        )

    def _look(self, place: ProbeKind, span: Span) -> str | None:
        name = (self._name,)
        fallback = self._export.cursor_fallback
        question = KeyProbe(self._relation, name, place, (span,), fallback=fallback)
        found = self._session.probe_keys(question)
        return found[0][0] if found else None


@dataclass(frozen=True, slots=True)
class _End:
    """Where a window ends; `horizon` is None for cursors that no clock sets."""

    last: str | None
    horizon: Horizon | None = None
    lacks: tuple[Lack, ...] = ()
