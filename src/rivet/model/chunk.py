"""Chunks: the unit of retry, resume and commit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of an export; `full` has exactly one that covers the whole relation.

    Attributes:
        index: Its ordinal in the plan, from 0.
        kind: How it is bounded; `all` means unbounded.
        lower: Lower bound as stored text; None is open.
        upper: Upper bound as stored text; None is open.
    """

    index: int
    kind: str = "all"
    lower: str | None = None
    upper: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a chunk; `number` rises each time the chunk is claimed."""

    run_id: str
    export_name: str
    chunk: Chunk
    number: int
