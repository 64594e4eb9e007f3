"""Chunk strategies: a mode is a generator of chunks, never a loop of its own.

Where the bounds of chunks come from is decided by `shapes.py` and `ranges.py`; here they become
chunks, and resuming is skipping those that are done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.model.chunk import Chunk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from rivet.model.span import Span


def chunks(spans: Iterable[Span], done: Collection[int] = ()) -> Iterator[Chunk]:
    """Yield the chunks of a plan in order, without those that are done.

    Args:
        spans: What each chunk holds, by index; no row is in two of them.
        done: Indexes of completed chunks.
    """
    for index, span in enumerate(spans):
        if index not in done:
            yield Chunk(index, span)
