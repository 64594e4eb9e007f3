"""How much memory DuckDB needs to stream a table: a vector of each of its columns at a time.

What the widths are stands in the table's own statistics, so nothing is scanned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb

from rivet.sources.duckdb.types import DIALECT
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.columns import Column

_MEBIBYTE: Final = 1024 * 1024
QUERY_BYTES: Final = 1024 * _MEBIBYTE
"""For what may have to sort or group before its first row."""
_LEAST_BYTES: Final = 48 * _MEBIBYTE
_BASE_BYTES: Final = 16 * _MEBIBYTE
_BLOCK_BYTES: Final = 256 * 1024
_VECTOR_ROWS: Final = 2048
# As stored and as unpacked.
_COPIES: Final = 2
_FIXED: Final = frozenset(
    {"BOOLEAN", "TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT"}
    | {"UBIGINT", "HUGEINT", "UHUGEINT", "FLOAT", "DOUBLE", "DATE", "TIME", "TIME_NS", "UUID"}
    | {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}
    | {"TIME WITH TIME ZONE", "INTERVAL"}
)


def table_bytes(
    connection: Any,  # noqa: ANN401 - the driver's
    source: str,
    columns: Sequence[Column],
) -> tuple[int, int]:
    """Return the memory that streaming a table takes, and about how wide one row is.

    Args:
        connection: Asked for the statistics of columns without a fixed width.
        source: The table as it stands behind FROM.
        columns: What is read.
    """
    names = [DIALECT.identifier(one.source_name) for one in columns if not _is_fixed(one)]
    room = _BASE_BYTES + _BLOCK_BYTES * len(columns)
    width = 16 * len(columns)
    for statistics in _statistics(connection, source, names):
        lengths = _lengths(statistics)
        if lengths is None:
            return max(QUERY_BYTES, room), width
        longest, total, is_nested = lengths
        vector = min(total, QUERY_BYTES) if is_nested else min(total, longest * _VECTOR_ROWS)
        room += _COPIES * vector
        width += longest
    return max(_LEAST_BYTES, room), width


def _is_fixed(column: Column) -> bool:
    native = column.native_type.upper()
    is_simple = native.startswith(("DECIMAL(", "ENUM(")) and not native.endswith("]")
    return native in _FIXED or is_simple


def _statistics(connection: Any, source: str, names: Sequence[str]) -> Sequence[Any]:  # noqa: ANN401
    if not names:
        return ()
    try:
        statement = select([f"stats({name})" for name in names], source)
        row = connection.execute(DIALECT.limited(statement, 1)).fetchone()
    except duckdb.Error:
        return (None,)  # not known
    return row or ()


def _lengths(statistics: Any) -> tuple[int, int, bool] | None:  # noqa: ANN401
    """Return the longest text, the bytes of all, and whether they lie within others."""
    if not isinstance(statistics, dict):
        return None
    nested = [value for value in statistics.values() if isinstance(value, dict)]
    if nested:
        inner = [found for one in nested if (found := _lengths(one)) is not None]
        return sum(one[0] for one in inner), sum(one[1] for one in inner), True
    longest, total = statistics.get("max_string_length"), statistics.get("total_string_length")
    if not isinstance(longest, int) or not isinstance(total, int):
        return None
    return longest, total, False
