"""Read a table in short statements: each slice is one, sized by what the one before it took.

A slice is drained into memory that is set aside for it, so that a slow writer never keeps a
statement of the server open. Where slices end never depends on the rows that are read.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from rivet.errors import UnsupportedPlanError
from rivet.model.relation import KeyProbe
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rivet.model.relation import Relation, TableFacts

    ProbeKeys = Callable[[KeyProbe], list[tuple[str, ...]]]

__all__ = [
    "BlockSlicer",
    "KeySlicer",
    "NumberSlicer",
    "ProbeKeys",
    "SliceSizer",
    "SliceTiming",
    "Slicer",
    "along_key",
    "ascends",
]

_BLOCK_BYTES: Final = 8192
_ROW_BYTES: Final = 512
_LEAST_ROW_BYTES: Final = 32.0  # a catalog may know the rows before it knows their size
_FIRST_SHARE: Final = 4
_LEAST_SLICES: Final = 4
_SHARE_OF_TARGET: Final = 0.7
_FASTEST_GROWTH: Final = 2.0
_SPARSEST: Final = 4
_FASTEST_DECLINE: Final = 0.2
_SORTED_AT_ONCE: Final = 200
_PROVEN_AT_ONCE: Final = 32


def ascends(
    probe_keys: ProbeKeys,
    relation: Relation,
    columns: tuple[str, ...],
    bounds: Sequence[tuple[str, ...]],
) -> bool:
    """Return whether bounds rise for the source itself, where equal ones may follow each other.

    Spans between bounds share no row only then. A value may come back as another one from its way
    through texts and character sets, and statistics may be in the order of an older collation.
    """
    for start in range(0, len(bounds) - 1, _SORTED_AT_ONCE - 1):
        some = tuple(bounds[start : start + _SORTED_AT_ONCE])
        question = KeyProbe(relation, columns, ProbeKind.ORDER, bounds=some)
        found = probe_keys(question)
        if [number for (number,) in found] != [str(number) for number in range(len(some))]:
            return False
    return True


@dataclass(frozen=True, slots=True)
class SliceTiming:
    """What one slice took: seconds from sending it to its last row, bytes and rows."""

    seconds: float
    wire_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class SliceSizer:
    """How large a slice may be.

    Attributes:
        target_s: Seconds of server time to stay below.
        max_bytes: The most bytes on the wire.
        max_rows: The most rows; 0 is no limit.
    """

    target_s: float
    max_bytes: int
    max_rows: int = 0

    def first_rows(self, facts: TableFacts) -> int:
        """Return how many rows the first slice has: a share of the most bytes, by the catalog."""
        rows, size = facts.estimated_rows, facts.estimated_bytes
        row_bytes = max(size / rows, _LEAST_ROW_BYTES) if rows and size else _ROW_BYTES
        first = max(int(self.max_bytes / _FIRST_SHARE / row_bytes), 1)
        return min(first, self.max_rows) if self.max_rows else first

    def first_blocks(self, blocks: int, rows: int | None) -> int:
        """Return the same in blocks of a table's file, of which the catalog counts both."""
        first = max(self.max_bytes // (_FIRST_SHARE * _BLOCK_BYTES), 1)
        if self.max_rows and rows:
            first = min(first, self.max_rows * blocks // rows)
        return max(first, 1)

    def next_size(self, size: int, took: SliceTiming) -> int:
        """Return the size of the next slice after one of `size`, in the same unit."""
        by_time = _SHARE_OF_TARGET * self.target_s / max(took.seconds, 1e-4)
        by_bytes = self.max_bytes / max(took.wire_bytes, 1)
        by_rows = self.max_rows / max(took.rows, 1) if self.max_rows else _FASTEST_GROWTH
        factor = min(by_time, by_bytes, by_rows, _FASTEST_GROWTH)
        return max(int(size * max(factor, _FASTEST_DECLINE)), 1)


class Slicer(Protocol):
    """Cuts one read into spans, one after another; may be shared from another thread."""

    @property
    def size(self) -> int:
        """How large a slice is now: blocks, rows or numbers."""
        ...

    def next(self, took: SliceTiming | None) -> Span | None:
        """Return the next slice; None after the last.

        Args:
            took: What the slice before took; None before the first.
        """
        ...

    def split_off(self, probe_keys: ProbeKeys, commit: Callable[[Span], None]) -> Span | None:
        """Give a part of what has not been begun to somebody else; None where too little is left.

        Args:
            probe_keys: Asks where keys lie, on another connection than the one that reads.
            commit: Is told what is given before it is, so that it is on record; while it runs no
                slice is begun. Raising keeps everything.
        """
        ...


class BlockSlicer:
    """Slices by the blocks of a table's file; the last one is open where the read is.

    Args:
        blocks: How many blocks the file has about.
        within: Blocks to stay in; None for all.
        pace: Limits.
        rows: How many rows they hold about; None where that is not known.
    """

    def __init__(
        self, blocks: int, within: Span | None, pace: SliceSizer, rows: int | None = None
    ) -> None:
        lower, upper = (within.lower, within.upper) if within is not None else (None, None)
        self._at = int(lower[0]) if lower else 0
        self._end = int(upper[0]) if upper else None
        self._last = self._end if self._end is not None else blocks
        self._pace = pace
        self._size = pace.first_blocks(blocks, rows)
        self._is_done = False
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How large a slice is now."""
        return self._size

    def next(self, took: SliceTiming | None) -> Span | None:
        """Return the next range of blocks."""
        with self._lock:
            if self._is_done:
                return None
            if took is not None:
                self._size = self._pace.next_size(self._size, took)
            start, stop = self._at, self._at + self._size
            if stop >= self._last:
                self._is_done = True
                upper = None if self._end is None else (str(self._end),)
            else:
                self._at, upper = stop, (str(stop),)
            return Span(SpanKind.BLOCKS, (), (str(start),), upper)

    def split_off(self, probe_keys: ProbeKeys, commit: Callable[[Span], None]) -> Span | None:  # noqa: ARG002
        """Give the second half of the blocks that are left."""
        with self._lock:
            if self._is_done or self._last - self._at < _LEAST_SLICES * self._size:
                return None
            middle = (self._at + self._last) // 2
            upper = None if self._end is None else (str(self._end),)
            given = Span(SpanKind.BLOCKS, (), (str(middle),), upper)
            commit(given)
            self._end = self._last = middle
            return given


class KeySlicer:
    """Slices of equal rows along an index, found by walking it one slice ahead.

    Args:
        probe_keys: Asks the source where keys lie, on the connection that reads.
        relation: What is read.
        facts: What the catalog says of it.
        within: The key span to stay in.
        pace: Limits.
    """

    def __init__(
        self,
        probe_keys: ProbeKeys,
        relation: Relation,
        facts: TableFacts,
        within: Span,
        pace: SliceSizer,
    ) -> None:
        self._probe_keys = probe_keys
        self._relation = relation
        self._within = within
        self._used: list[tuple[str, ...]] = [] if within.lower is None else [within.lower]
        self._rest: Span | None = within
        self._pace = pace
        self._rows = pace.first_rows(facts)
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How large a slice is now."""
        return self._rows

    def split_off(self, probe_keys: ProbeKeys, commit: Callable[[Span], None]) -> Span | None:
        """Give what lies behind the next few slices."""
        with self._lock:
            rest = self._rest
            if rest is None:
                return None
            rows = _LEAST_SLICES * self._rows
            question = KeyProbe(self._relation, rest.columns, ProbeKind.STEP, (rest,), rows)
            if not (found := probe_keys(question)):
                return None
            self._prove(probe_keys, found)
            given = replace(rest, lower=found[0], takes_lower=False)
            commit(given)
            self._rest = replace(rest, upper=found[0], takes_upper=True)
            return given

    def next(self, took: SliceTiming | None) -> Span | None:
        """Return the next range of keys."""
        with self._lock:
            return self._next(took)

    def _next(self, took: SliceTiming | None) -> Span | None:
        rest = self._rest
        if rest is None:
            return None
        if took is not None:
            self._rows = self._pace.next_size(self._rows, took)
        place = KeyProbe(self._relation, rest.columns, ProbeKind.STEP, (rest,), self._rows)
        found = self._probe_keys(place)
        if not found or found[0] == rest.lower:
            self._prove(self._probe_keys, () if rest.upper is None else (rest.upper,))
            self._rest = None
            return rest
        self._used.append(found[0])
        if len(self._used) >= _PROVEN_AT_ONCE:
            self._prove(self._probe_keys)
        self._rest = replace(rest, lower=found[0], takes_lower=False)
        return replace(rest, upper=found[0], takes_upper=True)

    def _prove(self, probe_keys: ProbeKeys, ahead: Sequence[tuple[str, ...]] = ()) -> None:
        """Have the source say that the bounds used so far rise, up to one that lies ahead.

        Raises:
            UnsupportedPlanError: They do not, so that rows may have been read twice.
        """
        columns = self._within.columns
        bounds = [*self._used, *ahead]
        if len(bounds) > 1 and not ascends(probe_keys, self._relation, columns, bounds):
            listed = ", ".join(f"'{visible(name)}'" for name in columns)
            msg = f"slices along {listed}: the source does not find its values where they were"
            hint = "read the table in one statement: tuning: {max_statement_s: 0}"
            raise UnsupportedPlanError(msg, hint=hint)
        self._used = bounds[:-1][-1:] if ahead else bounds[-1:]


class NumberSlicer:
    """Slices of a width over a key of whole numbers; gaps are jumped over.

    No two rows have the same number, so that a slice never holds more rows than it is wide. Where
    numbers are so sparse that this would say nothing, rows are counted off along the index.

    Args:
        probe_keys: Asks the source where keys lie, on the connection that reads.
        relation: What is read.
        facts: What the catalog says of it.
        within: The key span of one column to stay in.
        pace: Limits.
    """

    def __init__(
        self,
        probe_keys: ProbeKeys,
        relation: Relation,
        facts: TableFacts,
        within: Span,
        pace: SliceSizer,
    ) -> None:
        self._probe_keys = probe_keys
        self._relation = relation
        self._rest: Span | None = within
        self._pace = pace
        self._width = self._rows = pace.first_rows(facts)
        self._last: int | None = None
        self._lock = threading.Lock()

    def split_off(self, probe_keys: ProbeKeys, commit: Callable[[Span], None]) -> Span | None:  # noqa: ARG002
        """Give the second half of the numbers that are left."""
        with self._lock:
            rest, last = self._rest, self._last
            if rest is None or last is None or rest.lower is None:
                return None
            start = int(rest.lower[0])
            if last - start < _LEAST_SLICES * self._width:
                return None
            middle = (str((start + last) // 2),)
            given = replace(rest, lower=middle, takes_lower=True)
            commit(given)
            self._rest = replace(rest, upper=middle, takes_upper=False)
            self._last = int(middle[0]) - 1
            return given

    @property
    def size(self) -> int:
        """How large a slice is now."""
        return self._width

    def next(self, took: SliceTiming | None) -> Span | None:
        """Return the next range of numbers."""
        with self._lock:
            return self._next(took)

    def _next(self, took: SliceTiming | None) -> Span | None:
        rest = self._rest
        if rest is None:
            return None
        if self._last is None or took is None:
            last = self._find(ProbeKind.LAST, rest)
            if last is None:
                self._rest = None
                return rest
            self._last = last
        else:
            self._width = self._pace.next_size(self._width, took)
            self._rows = self._pace.next_size(took.rows, took) if took.rows else self._rows
        start = self._start(rest, took)
        if start is not None and self._width > _SPARSEST * self._rows:
            counted = self._find(ProbeKind.STEP, rest)
            end = self._last if counted is None else counted
            self._width = max(end + 1 - start, 1)
        if start is None or start + self._width > self._last:
            self._rest = None
            return rest
        bound = (str(start + self._width),)
        self._rest = replace(rest, lower=bound, takes_lower=True)
        return replace(rest, upper=bound, takes_upper=False)

    def _start(self, rest: Span, took: SliceTiming | None) -> int | None:
        """Return where the next rows are: behind a gap this is asked for."""
        is_known = took is not None and took.rows > 0 and rest.lower is not None
        if is_known and rest.lower is not None:
            return int(rest.lower[0])
        return self._find(ProbeKind.FIRST, rest)

    def _find(self, place: ProbeKind, span: Span) -> int | None:
        found = self._probe_keys(KeyProbe(self._relation, span.columns, place, (span,), self._rows))
        return int(found[0][0]) if found else None


def along_key(
    probe_keys: ProbeKeys, relation: Relation, facts: TableFacts, within: Span, pace: SliceSizer
) -> KeySlicer | NumberSlicer:
    """Return a slicer along an index: by widths where that is a key of whole numbers.

    Counting rows off reads the index once more, which widths do not.
    """
    is_number = any(key.is_integer and key.columns == within.columns for key in facts.keys)
    slicer = NumberSlicer if is_number else KeySlicer
    return slicer(probe_keys, relation, facts, within, pace)
