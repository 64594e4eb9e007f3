"""Chunk strategies: a mode is a generator of chunks, never a loop of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.errors import UnsupportedPlanError
from rivet.model.chunk import Chunk
from rivet.model.plan import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from rivet.model.plan import ExportPlan


def _whole(_plan: ExportPlan) -> Iterator[Chunk]:
    yield Chunk(index=0)


STRATEGIES: Final[dict[Mode, Callable[[ExportPlan], Iterator[Chunk]]]] = {Mode.FULL: _whole}


def chunks(plan: ExportPlan, done: Collection[int] = ()) -> Iterator[Chunk]:
    """Yield the chunks of a plan in order, without those that are done.

    Args:
        plan: The resolved plan.
        done: Indexes of completed chunks; resuming is skipping them.

    Raises:
        UnsupportedPlanError: The mode has no strategy.
    """
    strategy = STRATEGIES.get(plan.mode)
    if strategy is None:
        msg = f"export '{plan.export_name}': mode '{plan.mode}' is not in this version"
        raise UnsupportedPlanError(msg, hint="use `mode: full`", export=plan.export_name)
    return (chunk for chunk in strategy(plan) if chunk.index not in done)
