"""Order of log positions (LSN, GTID): each engine compares its own, and never as text."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from rivet.sources import ENGINES, load_engine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.model.source import Position


def earliest(positions: Iterable[Position | None]) -> Position | None:
    """Return the position that none of the others is before.

    Whoever follows the source's log from there misses nothing that came after any of them.

    Returns:
        None where one is not known, or where two cannot be compared: sets of transactions of two
        servers, of which neither holds the other.
    """
    known: list[Position] = []
    for position in positions:
        if position is None:
            return None
        known.append(position)
    if not known:
        return None
    found = reduce(lambda one, other: other if _is_at_or_before(other, one) else one, known)
    return found if all(_is_at_or_before(found, one) for one in known) else None


def _is_at_or_before(first: Position, second: Position) -> bool:
    if first == second:
        return True
    is_one_kind = (first.engine, first.kind) == (second.engine, second.kind)
    if not is_one_kind or first.engine not in ENGINES:
        return False
    compare = load_engine(first.engine).CAPABILITIES.is_at_or_before
    try:
        return compare is not None and compare(first.text, second.text)
    except ValueError:
        return False  # nothing that this engine writes, so nothing is known of it
