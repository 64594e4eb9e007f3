"""What is read: a table or a query, passed down as structure and never as assembled SQL text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rivet.model.columns import Column


@dataclass(frozen=True, slots=True)
class Relation:
    """The table, view or query an export reads: exactly one of `table` and `query`.

    Attributes:
        schema: The table's schema; None means the connection's search path.
        table: The bare table name, unquoted, in the letter case of the catalog.
        query: One SELECT statement, without a trailing semicolon.
    """

    schema: str | None = None
    table: str | None = None
    query: str | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        if self.table is None:
            return "query"
        return f"{self.schema}.{self.table}" if self.schema else self.table


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the catalog says of a relation; every number may be stale, none is ever a count.

    Attributes:
        estimated_rows: The catalog's row estimate; None where it has none.
        estimated_bytes: Size of the data on the server's disk; None where unknown.
        key: Columns of the primary key, in key order; empty without one.
    """

    estimated_rows: int | None = None
    estimated_bytes: int | None = None
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One bounded read of a relation.

    Attributes:
        relation: What to read.
        columns: The columns of the result, in order, as `Session.columns` gave them.
        batch_rows: The most rows a batch may hold.
        batch_bytes: A batch is closed once its Arrow buffers reach about this size.
        is_whole: The columns are all that the relation has, so that a new one is noticed.
        max_value_bytes: A single value above this is an error; 0 is no limit.
        holds_snapshot: The session stays in this read's instant until it ends, so that a count
            sees the same rows. Without it an engine may leave the instant with the last row.
    """

    relation: Relation
    columns: tuple[Column, ...]
    batch_rows: int = 65_536
    batch_bytes: int = 16 * 1024 * 1024
    max_value_bytes: int = 256 * 1024 * 1024
    holds_snapshot: bool = False
    is_whole: bool = True
