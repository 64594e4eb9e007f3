"""Compare what two programs wrote for the same export: Arrow schema and multiset of rows."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from support.readers import canonical_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa

# Both programs add these; the moment and the hash are each program's own.
OWN_VALUES = frozenset({"_rivet_exported_at", "_rivet_row_hash"})


def manifest_of(prefix: Path) -> dict[str, Any]:
    """Read the canonical manifest of a prefix."""
    return json.loads((prefix / "manifest.json").read_text(encoding="utf-8"))


def part_paths(prefix: Path) -> list[str]:
    """Return the parts that the manifest of a prefix lists."""
    return [str(prefix / part["path"]) for part in manifest_of(prefix)["parts"]]


def arrow_fields(prefix: Path) -> list[tuple[str, pa.DataType, bool]]:
    """Return name, Arrow type and nullability of every column, the same in every part.

    The name of a list's element does not count: the type is the same.
    """
    found = {
        tuple((field.name, field.type, field.nullable) for field in pq.read_schema(path))
        for path in part_paths(prefix)
    }
    assert len(found) <= 1, found
    return list(*found)


def field_metadata(prefix: Path, *keys: str) -> dict[str, list[str | None]]:
    """Return the given metadata of each source column in the first part."""
    return {
        field.name: [_text(field.metadata.get(key.encode())) for key in keys]
        for field in pq.read_schema(part_paths(prefix)[0])
        if field.name not in OWN_VALUES
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def duckdb_difference(left: Path, right: Path) -> list[tuple[Any, ...]]:
    """Return rows of one prefix that the other lacks, each as often as it is missing, as texts."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2")
        selects = [_select(prefix) for prefix in (left, right)]
        return [
            row
            for one, other in (selects, selects[::-1])
            for row in connection.execute(
                f"SELECT COLUMNS(*)::VARCHAR FROM ({one} EXCEPT ALL {other}) LIMIT 5"
            ).fetchall()
        ]


def _select(prefix: Path) -> str:
    parts = part_paths(prefix)
    columns = ", ".join(_expression(field) for field in pq.read_schema(parts[0]))
    return f"SELECT {columns} FROM read_parquet({parts})"


def _expression(field: pa.Field) -> str:
    name = '"' + field.name.replace('"', '""') + '"'
    if field.name in OWN_VALUES:
        return f"{name} IS NULL AS {name}"
    return name


def canonical_counts(prefix: Path, without: Iterable[str]) -> Counter[tuple[str | None, ...]]:
    """Count the rows of a prefix as pyarrow reads them: exact decimals, signed zeros and all."""
    table = pq.read_table(part_paths(prefix))
    return Counter(canonical_rows(table.drop_columns(list(without))))
