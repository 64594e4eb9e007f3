"""What of the cards is on the screen at one moment. Pure functions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rivet.ui.cards import Phase
from rivet.ui.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.ui.cards import Cards


def frame(cards: Cards, now_s: float, width: int, height: int) -> list[str]:
    """Return the lines to show: never more than `height - 1`, so that the cursor stays below.

    Where the stack is taller, those that run come first, then those that failed, and the last line
    counts the others.
    """
    room = height - 1
    lines = cards.lines(now_s, width)
    if len(lines) <= room:
        return lines
    if room < 1:
        return []
    phases = cards.phases
    running = [index for index, phase in enumerate(phases) if phase.is_running]
    failed = [
        index for index, phase in enumerate(phases) if phase in {Phase.FAILED, Phase.INTERRUPTED}
    ]
    shown = [*running, *failed][: room - 1]
    others = (phase for index, phase in enumerate(phases) if index not in set(shown))
    counts = _counts(others, cards.glyphs.ellipsis)
    return [*(lines[index] for index in shown), cut(counts, width, cards.glyphs.ellipsis)]


def _counts(phases: Iterable[Phase], ellipsis: str) -> str:
    found = Counter("running" if phase.is_running else str(phase) for phase in phases)
    order = (Phase.RUNNING, Phase.DONE, Phase.FAILED, Phase.INTERRUPTED, Phase.WAITING)
    told = ", ".join(f"{found[phase]} {phase}" for phase in order if found[phase])
    return f"{ellipsis} {found.total()} more: {told}"
