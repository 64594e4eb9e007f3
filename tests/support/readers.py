"""Independent readers of the files Rivet writes: pyarrow and DuckDB, one canonical text per value.

The canonical text of a value: decimals plain with their full scale, `YYYY-MM-DD`,
`HH:MM:SS.ffffff`, `YYYY-MM-DDTHH:MM:SS.ffffff` (nine digits for nanoseconds, `Z` after an instant),
`d:`, `us:` or `ns:` and the raw number outside the years 1 to 9999, lower hex for binary, hyphens
in a UUID, the shortest text that reads back for floats, JSON arrays of canonical texts for lists.
"""

from __future__ import annotations

import datetime as dt
import json
import struct
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    Row = tuple[str | None, ...]

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock for arithmetic
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_DUCKDB_NAMES = {
    "bool": "BOOLEAN",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint64": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date32[day]": "DATE",
    "time64[us]": "TIME",
    "time64[ns]": "TIME_NS",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
    "timestamp[ns, tz=UTC]": "TIMESTAMPTZ_NS",
    "string": "VARCHAR",
    "binary": "BLOB",
    "extension<arrow.json>": "JSON",
    "extension<arrow.uuid>": "UUID",
}


def pyarrow_schema(path: Path) -> pa.Schema:
    """Read the Arrow schema of a Parquet file, metadata included."""
    return pq.read_schema(path)


def pyarrow_rows(path: Path) -> list[Row]:
    """Read a Parquet file with pyarrow as canonical texts."""
    return canonical_rows(pq.read_table(path))


def duckdb_rows(path: Path) -> list[Row]:
    """Read a Parquet file with DuckDB as canonical texts.

    DuckDB has no decimal above 38 digits and reads those as DOUBLE; they come as float texts.
    """
    return canonical_rows(_duckdb().read_parquet(str(path)).to_arrow_table())


def duckdb_types(path: Path) -> dict[str, str]:
    """Return the type DuckDB sees in each column of a Parquet file."""
    relation = _duckdb().read_parquet(str(path))
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET threads = 1")
    return connection


def duckdb_type_of(data_type: pa.DataType) -> str:
    """Return the type DuckDB must see in a column of this Arrow type."""
    if pa.types.is_list(data_type):
        return f"{duckdb_type_of(data_type.value_type)}[]"
    if pa.types.is_decimal(data_type):
        if data_type.precision > 38:
            return "DOUBLE"
        return f"DECIMAL({data_type.precision},{data_type.scale})"
    return _DUCKDB_NAMES[str(data_type)]


def canonical_rows(table: pa.Table) -> list[Row]:
    """Return the rows of an Arrow table as canonical texts."""
    columns = [
        [text for chunk in column.chunks for text in canonical_values(chunk)]
        for column in table.columns
    ]
    return list(zip(*columns, strict=True)) if columns else []


def canonical_values(array: pa.Array) -> list[str | None]:
    """Return the values of an Arrow array as canonical texts."""
    data_type = array.type
    if isinstance(data_type, pa.BaseExtensionType):
        is_uuid = data_type.extension_name == "arrow.uuid"
        stored = array.storage.to_pylist()
        return [v if v is None or not is_uuid else str(uuid.UUID(bytes=v)) for v in stored]
    if pa.types.is_list(data_type):
        return [_list_text(array.slice(i, 1)) for i in range(len(array))]
    if pa.types.is_date32(data_type):
        return _texts(array.cast(pa.int32()), _date_text)
    if pa.types.is_time(data_type) or pa.types.is_timestamp(data_type):
        return _texts(array.cast(pa.int64()), lambda value: _moment_text(value, data_type))
    if pa.types.is_float32(data_type):
        return _texts(array, _float32_text)
    return _texts(array, _scalar_text)


def _texts(array: pa.Array, spell: Any) -> list[str | None]:
    return [None if value is None else spell(value) for value in array.to_pylist()]


def _list_text(one: pa.Array) -> str | None:
    if not one[0].is_valid:
        return None
    return json.dumps(canonical_values(one.flatten()), ensure_ascii=False)


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    return (
        repr(value)
        if isinstance(value, float)
        else f"{value:f}"
        if _is_decimal(value)
        else str(value)
    )


def _is_decimal(value: Any) -> bool:
    return hasattr(value, "as_tuple")


def _float32_text(value: float) -> str:
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if value == struct.unpack("f", struct.pack("f", float(text)))[0]:
            return repr(float(text))
    return repr(value)


def _date_text(days: int) -> str:
    try:
        return (_EPOCH.date() + dt.timedelta(days=days)).isoformat()
    except OverflowError:
        return f"d:{days}"


def _moment_text(value: int, data_type: pa.DataType) -> str:
    seconds, fraction = divmod(value, _PER_SECOND[data_type.unit])
    digits = (
        f".{fraction:0{_DIGITS[data_type.unit]}d}" if fraction or _DIGITS[data_type.unit] else ""
    )
    try:
        moment = _EPOCH + dt.timedelta(seconds=seconds)
    except OverflowError:
        return f"{data_type.unit}:{value}"
    if pa.types.is_time(data_type):
        return f"{moment:%H:%M:%S}{digits}"
    return f"{moment.isoformat()}{digits}{'Z' if data_type.tz else ''}"
