"""Logical types as Arrow types: one schema per plan, the same for every part and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import xxhash

from rivet.model.types import NARROW_DECIMAL_PRECISION, Fidelity, Kind, LogicalType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.model.columns import Column

_PLAIN: Final[dict[Kind, pa.DataType]] = {
    Kind.BOOL: pa.bool_(),
    Kind.INT16: pa.int16(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.UINT64: pa.uint64(),
    Kind.FLOAT32: pa.float32(),
    Kind.FLOAT64: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.STRING: pa.string(),
    Kind.BINARY: pa.binary(),
    Kind.JSON: pa.json_(pa.string()),
    Kind.UUID: pa.uuid(),
    Kind.ENUM: pa.string(),
    Kind.INTERVAL: pa.string(),
    Kind.GEOMETRY: pa.binary(),
}
_LABELLED: Final = frozenset({Kind.JSON, Kind.UUID, Kind.ENUM, Kind.INTERVAL, Kind.GEOMETRY})


def arrow_type(logical: LogicalType) -> pa.DataType:
    """Return the Arrow type of a logical type.

    JSON and UUID are Arrow's canonical extension types, at the top level and inside lists.

    Raises:
        ValueError: The type is `unsupported`; plans refuse those before.
    """
    match logical.kind:
        case Kind.DECIMAL:
            precision, scale = logical.precision or 0, logical.scale or 0
            narrow = precision <= NARROW_DECIMAL_PRECISION
            return pa.decimal128(precision, scale) if narrow else pa.decimal256(precision, scale)
        case Kind.TIME:
            return pa.time64(str(logical.unit))
        case Kind.TIMESTAMP:
            return pa.timestamp(str(logical.unit), tz="UTC" if logical.is_utc else None)
        case Kind.LIST if logical.element is not None:
            return pa.list_(pa.field("item", arrow_type(logical.element), nullable=True))
        case _:
            try:
                return _PLAIN[logical.kind]
            except KeyError:
                msg = f"{logical.label} has no Arrow type"
                raise ValueError(msg) from None


def arrow_field(column: Column) -> pa.Field:
    """Return the Arrow field of a column, with the metadata every part carries."""
    metadata = {
        "rivet.native_type": column.native_type,
        "rivet.fidelity": str(column.fidelity),
    }
    if column.logical.kind in _LABELLED or column.fidelity is Fidelity.TEXT:
        metadata["rivet.logical_type"] = column.logical.label
    if column.origin is not None:
        metadata["rivet.source_name"] = column.origin
    if column.mask is not None:
        metadata["rivet.mask"] = str(column.mask)
    return pa.field(column.name, arrow_type(column.logical), nullable=True, metadata=metadata)


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of the columns, in order."""
    return pa.schema([arrow_field(column) for column in columns])


def schema_fingerprint(schema: pa.Schema) -> str:
    """Return `xxh3:` and 16 hex digits over the columns, sorted by name.

    Each column counts as name, tab, Arrow type, line feed; order and metadata do not count.
    """
    lines = sorted(f"{field.name}\t{_spelling(field.type)}\n" for field in schema)
    return f"xxh3:{xxhash.xxh3_64_hexdigest(''.join(lines).encode())}"


def _spelling(data_type: pa.DataType) -> str:
    return str(data_type)
