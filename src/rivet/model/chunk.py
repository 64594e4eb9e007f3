"""Chunks: the unit of retry, resume and commit."""

from __future__ import annotations

from dataclasses import dataclass

from rivet.model.span import WHOLE, Span


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of an export; `full` has exactly one that covers the whole relation.

    Attributes:
        index: Its ordinal in the plan, from 0.
        span: The rows it holds.
    """

    index: int
    span: Span = WHOLE


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a chunk; `number` rises each time the chunk is claimed."""

    run_id: str
    export_name: str
    chunk: Chunk
    number: int
