"""Windows: what one run of an export that goes on from the last one takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rivet.model.source import Position
    from rivet.model.span import Span


@dataclass(frozen=True, slots=True)
class Horizon:
    """Times of a server, as texts of the kind that was asked for.

    Attributes:
        now: Its clock.
        oldest: When the oldest transaction that may still write began; None where none is open.
        sees_all: Whether every transaction could be seen.
        why_not: What would make it so, for people.
    """

    now: str
    oldest: str | None = None
    sees_all: bool = True
    why_not: str = ""


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
    """

    spans: tuple[Span, ...]
    low: str | None = None
    high: str | None = None
    position: Position | None = None
    overlap: str | None = None
    guarantee: str | None = None
    is_certain: bool = True
