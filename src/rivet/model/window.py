"""Windows: what one run of an export that goes on from the last one takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.model.source import Position
    from rivet.model.span import Span


@dataclass(frozen=True, slots=True)
class Lack:
    """A condition of a complete window that does not hold, or that cannot be known.

    Attributes:
        what: The condition, for people.
        way_out: The setting or the right that would meet it; empty where there is none.
        settles: `settle` makes up for it: it has rows wait instead of knowing who writes.
    """

    what: str
    way_out: str = ""
    settles: bool = True

    @override
    def __str__(self) -> str:
        return f"{self.what} ({self.way_out})" if self.way_out else self.what


@dataclass(frozen=True, slots=True)
class Horizon:
    """Times of a server, as instants.

    Attributes:
        now: Its clock; on a replica, the last moment of which it has everything.
        oldest: When the oldest transaction that may still write began; None where none is open.
        lacks: What keeps a window that ends there from being complete.
        offset: What the engine's text of an instant ends in.
        wall: How far the clock on its wall is from UTC, for columns whose zone nobody has said.
    """

    now: datetime
    oldest: datetime | None = None
    lacks: tuple[Lack, ...] = ()
    offset: str = ""
    wall: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of one run.

    Attributes:
        spans: Pieces that share no row.
        low: Where it begins, for people and manifests; None is open.
        high: Where it ends.
        position: Where the next run goes on, once the rows are published; None moves nothing.
        overlap: Where rows that an earlier run has taken end; None where none are read again.
        guarantee: In plain words, which rows are certain to be there.
        is_certain: The guarantee holds without a condition on who writes the column.
        remarks: What else the user should know.
        left_out: Which rows are not read, in plain words; None where none are known of.
        follows: The run that it goes on from; None where it begins anew.
    """

    spans: tuple[Span, ...]
    low: str | None = None
    high: str | None = None
    position: Position | None = None
    overlap: str | None = None
    guarantee: str | None = None
    is_certain: bool = True
    remarks: tuple[str, ...] = ()
    left_out: str | None = None
    follows: str | None = None
