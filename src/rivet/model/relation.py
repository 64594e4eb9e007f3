"""What is read: a table or a query, passed down as structure and never as assembled SQL text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rivet.model.columns import Column
    from rivet.model.span import ProbeKind, Span


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
class Doubt:
    """Why a relation may give other rows each time it is evaluated.

    Attributes:
        why: A clause that begins with what does so, such as `the query samples rows`.
        is_clock: Only because time goes by between two evaluations.
    """

    why: str
    is_clock: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """Columns that no two rows share and that are never NULL, by an index that is in force.

    Attributes:
        columns: Names in the source, in the order of the index.
        is_integer: It is one column of whole numbers.
        correlation: How far the order of the rows in the file is that of the first column, from
            -1 to 1; None where unknown.
        is_clustered: The rows lie in the order of this key.
    """

    columns: tuple[str, ...]
    is_integer: bool = False
    correlation: float | None = None
    is_clustered: bool = False


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the catalog says of a relation; every number may be stale, none is ever a count.

    Attributes:
        estimated_rows: The catalog's row estimate; None where it has none.
        estimated_bytes: Size of the data on the server's disk; None where unknown.
        key: Columns of the primary key, in key order; empty without one.
        keys: Keys by which rows can be sought, the primary one first.
        indexed: Columns that are the first of an index, so that seeking by them is cheap.
        blocks: How many blocks the rows lie in, where they can be read by block; else None.
        quantiles: Values of a key's column in its order, about equally many rows apart, as text.
        denied: Columns that the user may not read, as far as the catalog tells.
        hidden: Tables behind the relation whose row-level security applies to the user.
        nullable_keys: Columns of unique indexes that may hold NULL, or are not known to hold none.
    """

    estimated_rows: int | None = None
    estimated_bytes: int | None = None
    key: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    indexed: tuple[str, ...] = ()
    blocks: int | None = None
    quantiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    nullable_keys: tuple[tuple[str, ...], ...] = ()


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
        spans: Only rows that all of these hold; empty is every row.
        slice_s: Server seconds to aim at per statement, where the engine can read a table in
            slices; 0 reads it in one statement.
        fetch_rows: Rows per portion of a query, where the engine has cursors; 0 reads it in one
            statement.
        slice_bytes: The most bytes of one slice, about.
        slice_rows: The most rows of one slice, about; 0 is no limit.
    """

    relation: Relation
    columns: tuple[Column, ...]
    batch_rows: int = 65_536
    batch_bytes: int = 16 * 1024 * 1024
    max_value_bytes: int = 256 * 1024 * 1024
    holds_snapshot: bool = False
    is_whole: bool = True
    spans: tuple[Span, ...] = ()
    slice_s: float = 0.0
    slice_bytes: int = 16 * 1024 * 1024
    slice_rows: int = 0
    fetch_rows: int = 0


@dataclass(frozen=True, slots=True)
class KeyProbe:
    """Which values a key has at one or more places of a relation.

    Attributes:
        columns: Names in the source, in the order of the key.
        place: `first` and `last` of the rows; the one `rows` rows on (`step`, None behind the last
            one); every `rows`-th (`cuts`, in one statement); `null`, whether any row holds none;
            `extremes`, how many rows hold what is no number or moment of the one column;
            `order`, the places of `bounds` in the order that the source has them in.
        spans: Only among the rows that all of these hold.
        fallback: A column that stands in where the one column is NULL.
        bounds: Key texts, for `order`.
    """

    relation: Relation
    columns: tuple[str, ...]
    place: ProbeKind
    spans: tuple[Span, ...] = ()
    rows: int = 1
    fallback: str | None = None
    bounds: tuple[tuple[str, ...], ...] = ()
