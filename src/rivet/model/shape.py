"""How a relation is cut into chunks, as asked for and as resolved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ShapeKind(StrEnum):
    """What the bounds of chunks are made of."""

    WHOLE = "whole"
    RANGE = "range"
    DAYS = "days"
    ROWS = "rows"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class ChunkRules:
    """What the configuration says of chunks; None is not said.

    Attributes:
        column: Cut by the values of this column.
        size: Width of a range of numbers; rows where chunks hold equal rows.
        memory_mb: Megabytes of table to aim at per chunk.
        count: How many chunks.
        days: Days per chunk.
        is_dense: Chunks of equal rows by `column`.
        key: Cut by this unique column.
        is_checkpointed: The user asked for finished chunks to be remembered.
        goes_on: A run takes only what has a greater key than the last run's rows.
    """

    column: str | None = None
    size: int | None = None
    memory_mb: int | None = None
    count: int | None = None
    days: int | None = None
    is_dense: bool = False
    key: str | None = None
    is_checkpointed: bool = False
    goes_on: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Every rule as text, for the fingerprint of a plan."""
        values = (self.column, self.size, self.memory_mb, self.count, self.days, self.is_dense)
        return tuple(str(value) for value in (*values, self.key))


@dataclass(frozen=True, slots=True)
class Shape:
    """How one relation is cut.

    Attributes:
        kind: What the bounds are made of.
        columns: Columns whose values are compared; empty for blocks.
        size: Width of a range, days, rows or blocks per chunk.
        count: The most chunks; None is no limit.
        may_hold_null: Rows may have NULL there, so they get a chunk of their own.
        is_indexed: Seeking by the columns is cheap.
        survives_new_snapshot: A row stays in its chunk for ever, so that chunks read in
            different instants still hold every row once.
        is_estimated: Chunks need hold only about `size` rows, so that statistics may say where
            to cut.
        note: What the user should know of a choice that was made for them.
    """

    kind: ShapeKind = ShapeKind.WHOLE
    columns: tuple[str, ...] = ()
    size: int = 0
    count: int | None = None
    may_hold_null: bool = False
    is_indexed: bool = False
    survives_new_snapshot: bool = False
    is_estimated: bool = False
    note: str | None = None


WHOLE_SHAPE = Shape()
"""One chunk of everything."""
