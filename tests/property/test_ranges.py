"""Every strategy that cuts by arithmetic: each value is in exactly one span."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivet.errors import UnsupportedPlanError
from rivet.model.relation import Key, Relation, TableFacts
from rivet.model.shape import ChunkRules, ShapeKind
from rivet.model.span import Span, SpanKind
from rivet.plan.ranges import (
    between,
    blocks,
    day_spans,
    even_bounds,
    number_spans,
    picked_bounds,
)
from rivet.plan.shapes import resolve_shape
from rivet.sources.slices import BlockSlicer, KeySlicer, NumberSlicer, SliceSizer, SliceTiming

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.model.relation import KeyProbe

T = Relation(table="t")
LIMITS = st.sampled_from([-(2**63), 2**63 - 1, 2**64 - 1, 0, -1, 1, 10**12])
NUMBERS = st.one_of(LIMITS, st.integers(-(2**63), 2**63 - 1), st.integers(-20, 20))


def holds(span: Span, value: Any, read: Callable[[str], Any]) -> bool:
    """Whether a value is in a span, as a database compares it."""
    if span.lower is not None:
        low = read(span.lower[0])
        if value < low or (value == low and not span.takes_lower):
            return False
    if span.upper is not None:
        high = read(span.upper[0])
        if value > high or (value == high and not span.takes_upper):
            return False
    return True


def places(spans: list[Span], value: Any, read: Callable[[str], Any]) -> int:
    return sum(holds(span, value, read) for span in spans)


@given(
    values=st.lists(st.integers(-500, 500), min_size=1, max_size=30),
    others=st.lists(st.decimals(-600, 600, places=2), max_size=20),
    size=st.integers(1, 300),
)
def test_ranges_of_numbers(values: list[int], others: list[Decimal], size: int) -> None:
    low, high = min(values), max(values)
    spans = number_spans("n", str(low), str(high), size=size, count=None)
    for value in (*map(Decimal, values), *others):  # fractions and rows that come later, too
        assert places(spans, value, Decimal) == 1
    assert len(spans) <= (high - low) // size + 1


@given(values=st.lists(NUMBERS, min_size=1, max_size=30), count=st.integers(1, 50))
def test_a_number_of_ranges_whatever_lies_between(values: list[int], count: int) -> None:
    bounds = str(min(values)), str(max(values))
    spans = number_spans("n", *bounds, size=1, count=count)
    assert 1 <= len(spans) <= count
    assert all(places(spans, value, int) == 1 for value in values)


def test_more_ranges_than_anybody_wants_are_refused() -> None:
    with pytest.raises(UnsupportedPlanError, match="1,000,000,000 chunks"):
        number_spans("n", "1", str(10**12), size=1000, count=None)


DAYS = st.datetimes(datetime(1, 1, 2), datetime(9999, 1, 1))  # noqa: DTZ001 - a wall clock


@given(
    values=st.lists(DAYS, min_size=1, max_size=20),
    near=st.lists(st.integers(0, 9), max_size=9),
    days=st.integers(1, 400),
)
def test_days(values: list[datetime], near: list[int], days: int) -> None:
    first = min(values)
    values = [first, *(first + timedelta(days=n, microseconds=-1) for n in near)]
    last = max(values)

    def read(text: str) -> datetime:
        return datetime.combine(date.fromisoformat(text), datetime.min.time())

    spans = day_spans("d", first.isoformat(" "), last.isoformat(" "), days=days)
    assert all(places(spans, value, read) == 1 for value in values)


@given(count=st.integers(0, 500), size=st.integers(1, 90), block=st.integers(0, 700))
def test_blocks(count: int, size: int, block: int) -> None:
    spans = blocks(count, size)
    held = [
        int(span.lower[0]) <= block and (span.upper is None or block < int(span.upper[0]))
        for span in spans
        if span.lower is not None
    ]
    assert sum(held) == 1  # blocks that come later are in the last one


@given(
    bounds=st.lists(st.integers(-9, 9).map(lambda n: (str(n),)), max_size=9),
    value=st.integers(-12, 12),
)
def test_bounds_that_repeat(bounds: list[tuple[str, ...]], value: int) -> None:
    spans = between(("n",), sorted(bounds, key=lambda bound: int(bound[0])))
    assert places(spans, value, int) == 1


TOOK = st.builds(SliceTiming, st.floats(0, 5), st.integers(0, 10**8), st.integers(0, 10**6))
PACE = st.builds(SliceSizer, st.floats(0.01, 2), st.integers(1, 10**7))


@given(
    total=st.integers(0, 9999),
    within=st.one_of(st.none(), st.tuples(st.integers(0, 5000), st.integers(1, 3000))),
    pace=PACE,
    took=st.lists(TOOK, min_size=1, max_size=5),
    block=st.integers(0, 12_000),
)
def test_slices_of_blocks(
    total: int,
    within: tuple[int, int] | None,
    pace: SliceSizer,
    took: list[SliceTiming],
    block: int,
) -> None:
    span = None
    if within is not None:
        span = Span(SpanKind.BLOCKS, (), (str(within[0]),), (str(sum(within)),))
    slicer = BlockSlicer(total, span, pace)
    held, number = 0, 0
    part = slicer.next(None)
    while part is not None:
        low, high = int((part.lower or ("0",))[0]), part.upper and int(part.upper[0])
        held += low <= block and (high is None or block < high)
        part = slicer.next(took[number % len(took)])
        number += 1
        assert number < 20_000
    is_inside = within is None or within[0] <= block < sum(within)
    assert held == is_inside


class Rows:
    """A table of whole numbers that answers questions about its key."""

    def __init__(self, values: list[int]) -> None:
        self.values = sorted(set(values))

    def probe_keys(self, question: KeyProbe) -> list[tuple[str, ...]]:
        if question.place == "order":
            given = [(int(value), n) for n, (value,) in enumerate(question.bounds)]
            return [(str(n),) for _, n in sorted(given)]
        left = [
            value
            for value in self.values
            if all(holds(span, value, int) for span in question.spans)
        ]
        place = {"first": 0, "last": -1, "step": question.rows - 1}[question.place]
        in_reach = left and place < len(left)
        return [(str(left[place]),)] if in_reach else []


@given(
    values=st.lists(st.one_of(st.integers(-99, 99), st.integers(-(10**9), 10**9)), max_size=40),
    bounds=st.one_of(st.none(), st.tuples(st.integers(-99, 99), st.integers(-99, 99))),
    pace=PACE,
    seconds=st.floats(0, 2),
    is_number=st.booleans(),
)
def test_slices_of_keys(
    values: list[int],
    bounds: tuple[int, int] | None,
    pace: SliceSizer,
    seconds: float,
    is_number: bool,
) -> None:
    rows = Rows(values)
    low, high = (None, None) if bounds is None else ((str(min(bounds)),), (str(max(bounds)),))
    within = Span(SpanKind.KEY, ("n",), low, high)
    kind = NumberSlicer if is_number else KeySlicer
    slicer = kind(rows.probe_keys, T, TableFacts(), within, pace)
    found: list[int] = []
    part = slicer.next(None)
    for _ in range(3_000):
        if part is None:
            break
        taken = [value for value in rows.values if holds(part, value, int)]
        found += taken
        part = slicer.next(SliceTiming(seconds, 50 * len(taken), len(taken)))
    assert found == [value for value in rows.values if holds(within, value, int)]


@given(
    values=st.lists(st.one_of(st.integers(-99, 99), st.integers(-(10**6), 10**6)), max_size=60),
    gives=st.lists(st.integers(0, 9), max_size=6),
    kind=st.sampled_from([NumberSlicer, KeySlicer, BlockSlicer]),
    is_refused=st.booleans(),
)
def test_what_is_given_away_is_not_read(
    values: list[int],
    gives: list[int],
    kind: Callable[..., Any],
    is_refused: bool,
) -> None:
    rows, pace = Rows([abs(value) for value in values]), SliceSizer(0.5, 400)
    within = Span(SpanKind.KEY, ("n",))
    if kind is BlockSlicer:
        slicer: Any = BlockSlicer(10**6, None, SliceSizer(0.5, 10**8))
    else:
        slicer = kind(rows.probe_keys, T, TableFacts(), within, pace)
    parts: list[Span] = []

    def commit(given: Span) -> None:
        if is_refused:
            raise UnsupportedPlanError("no")
        parts.append(given)

    part, number = slicer.next(None), 0
    while part is not None and number < 2_000:
        parts.append(part)
        for _ in range(gives.count(number % 10)):
            with suppress(UnsupportedPlanError):
                slicer.split_off(rows.probe_keys, commit)
        taken = sum(inside(part, value) for value in rows.values)
        part, number = slicer.next(SliceTiming(0.01, 50 * taken, taken)), number + 1
    assert all(sum(inside(one, value) for one in parts) == 1 for value in rows.values)


def inside(span: Span, value: int) -> bool:
    """Whether a row is in a span of keys or, as a block, in one of blocks."""
    if span.kind is SpanKind.KEY:
        return holds(span, value, int)
    low = int(span.lower[0]) if span.lower else 0
    return low <= value and (span.upper is None or value < int(span.upper[0]))


# Shapes: what is decided without a source.

KEY = Key(("id",), is_integer=True, correlation=1.0)
RANDOM = Key(("code",), correlation=0.01)


@pytest.mark.parametrize(
    ("rules", "facts", "kind", "survives_new_snapshot"),
    [
        (ChunkRules(), TableFacts(keys=(KEY,), blocks=9), ShapeKind.ROWS, True),
        (ChunkRules(), TableFacts(keys=(RANDOM,), blocks=9), ShapeKind.BLOCKS, False),
        (ChunkRules(), TableFacts(keys=(RANDOM,)), ShapeKind.ROWS, True),
        (ChunkRules(), TableFacts(blocks=9), ShapeKind.BLOCKS, False),
        (ChunkRules(column="a"), TableFacts(), ShapeKind.RANGE, False),
        (ChunkRules(column="a", days=2), TableFacts(), ShapeKind.DAYS, False),
        (ChunkRules(column="a", is_dense=True), TableFacts(), ShapeKind.ROWS, False),
        (ChunkRules(column="id", size=5), TableFacts(keys=(KEY,)), ShapeKind.RANGE, True),
        (ChunkRules(key="code"), TableFacts(keys=(KEY, RANDOM)), ShapeKind.ROWS, True),
        (ChunkRules(column="a", size=99), TableFacts(50, 1), ShapeKind.WHOLE, False),
        (
            ChunkRules(column="a", size=99, is_checkpointed=True),
            TableFacts(50, 1),
            ShapeKind.RANGE,
            False,
        ),
    ],
)
def test_shapes(
    rules: ChunkRules, facts: TableFacts, kind: ShapeKind, survives_new_snapshot: bool
) -> None:
    shape = resolve_shape(rules, T, facts, frozenset())
    assert (shape.kind, shape.survives_new_snapshot) == (kind, survives_new_snapshot)


def test_a_table_that_nothing_can_cut_is_refused() -> None:
    with pytest.raises(UnsupportedPlanError, match="no safe way"):
        resolve_shape(ChunkRules(), T, TableFacts(), frozenset())


@given(first=st.integers(-(2**63), 2**62), width=st.integers(1, 10**6), count=st.integers(1, 40))
def test_even_bounds_hold_about_equal_rows(first: int, width: int, count: int) -> None:
    last = first + width - 1
    bounds = even_bounds(str(first), str(last), count=count, rows=width)
    assert bounds is not None
    edges = [first - 1, *(int(bound) for (bound,) in bounds), last]
    sizes = [high - low for low, high in pairwise(edges)]
    assert sum(sizes) == width
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) > 0
    assert even_bounds(str(first), str(last + width), count=count, rows=width) is None


@given(bins=st.integers(4, 100), count=st.integers(1, 40))
def test_picked_bounds_hold_about_equal_rows(bins: int, count: int) -> None:
    quantiles = [str(number) for number in range(bins + 1)]
    bounds = picked_bounds(quantiles, count)
    if bounds is None:
        assert bins < 4 * count
        return
    edges = [0, *(int(bound) for (bound,) in bounds), bins]
    sizes = [high - low for low, high in pairwise(edges)]
    assert len(sizes) == count
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) > 0
    assert picked_bounds([], count) is None


@pytest.mark.parametrize("gap", [10, 1_000, 10**12])
def test_a_slice_of_numbers_never_holds_many_times_what_fits(gap: int) -> None:
    values = [*range(0, 500 * gap, gap), *range(500 * gap, 500 * gap + 20_000)]
    slicer = NumberSlicer(
        Rows(values).probe_keys,
        T,
        TableFacts(),
        Span(SpanKind.KEY, ("n",)),
        SliceSizer(0.5, 10_000),
    )
    sizes = []
    part = slicer.next(None)
    while part is not None:
        span = part
        sizes.append(sum(holds(span, value, int) for value in values))
        part = slicer.next(SliceTiming(0.01, 50 * sizes[-1], sizes[-1]))
    assert sum(sizes) == len(values)
    assert max(sizes) <= 4 * 10_000 / 50
    assert len(sizes) < 200


class Garbled(Rows):
    """A table whose bounds come back as other values than they were, as a lossy charset makes them.

    Texts are compared as what they became, as a database would: all spans in the same way.
    """

    def __init__(self, values: list[int], seed: int) -> None:
        super().__init__(values)
        self._seed = seed

    def read(self, text: str) -> int:
        return (int(text) * 7919 + self._seed) % 1000

    def probe_keys(self, question: KeyProbe) -> list[tuple[str, ...]]:
        if question.place == "order":
            given = [(self.read(value), n) for n, (value,) in enumerate(question.bounds)]
            return [(str(n),) for _, n in sorted(given)]
        left = [v for v in self.values if all(holds(one, v, self.read) for one in question.spans)]
        return [(str(left[question.rows - 1]),)] if question.rows <= len(left) else []


@given(
    values=st.lists(st.integers(0, 999), max_size=60),
    seed=st.integers(0, 999),
    gives=st.sets(st.integers(0, 9)),
)
def test_bounds_that_change_on_their_way_lose_and_double_nothing(
    values: list[int], seed: int, gives: set[int]
) -> None:
    rows = Garbled(values, seed)
    slicer = KeySlicer(
        rows.probe_keys, T, TableFacts(), Span(SpanKind.KEY, ("n",)), SliceSizer(0.5, 2048)
    )
    parts: list[Span] = []
    try:
        part = slicer.next(None)
        while part is not None:
            assert len(parts) < 500
            parts.append(part)
            if len(parts) in gives:
                slicer.split_off(rows.probe_keys, parts.append)
            part = slicer.next(SliceTiming(0.1, 50, 1))
    except UnsupportedPlanError:
        return
    assert all(places(parts, value, rows.read) == 1 for value in rows.values)
