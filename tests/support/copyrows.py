"""COPY BINARY streams for tests: built by hand, or recorded from a real PostgreSQL."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from rivet.wire.fields import Decoder, FieldSpec

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00"
HEADER: Final = SIGNATURE + bytes(8)
TRAILER: Final = b"\xff\xff"
CASES_FILE: Final = Path(__file__).parents[1] / "unit" / "wire" / "recorded.json"

_ARROW: Final = {
    Decoder.BOOL: pa.bool_(),
    Decoder.INT2: pa.int16(),
    Decoder.INT4: pa.int32(),
    Decoder.INT8: pa.int64(),
    Decoder.OID: pa.int64(),
    Decoder.FLOAT4: pa.float32(),
    Decoder.FLOAT8: pa.float64(),
    Decoder.DATE: pa.date32(),
    Decoder.TEXT: pa.string(),
    Decoder.BYTES: pa.binary(),
    Decoder.JSONB: pa.json_(pa.string()),
    Decoder.UUID: pa.uuid(),
    Decoder.INTERVAL: pa.string(),
    Decoder.ANY_INTERVAL: pa.string(),
    Decoder.FINITE_INTERVAL: pa.string(),
}


@dataclass(frozen=True)
class Recorded:
    """One type: a query of one column, the stream a server sent for it, and what it means."""

    name: str
    query: str
    field: FieldSpec
    stream: bytes
    expected: list[Any]


def recorded_cases() -> list[Recorded]:
    """Read the recorded streams."""
    return [
        Recorded(
            case["name"],
            case["query"],
            field_of(case["field"]),
            bytes.fromhex(case["stream"]),
            case["expected"],
        )
        for case in json.loads(CASES_FILE.read_text(encoding="utf-8"))
    ]


def field_of(given: dict[str, Any]) -> FieldSpec:
    """Build a field named `v` from its JSON form."""
    facts = dict(given)
    element = facts.pop("element", None)
    decoder = Decoder[facts.pop("decoder")]
    return FieldSpec("v", decoder, element=field_of(element) if element else None, **facts)


def arrow_of(field: FieldSpec) -> pa.DataType:
    """Return the Arrow type of a field, as a plan would ask for it."""
    if field.decoder is Decoder.DECIMAL:
        make = pa.decimal128 if field.precision <= 38 else pa.decimal256
        return make(field.precision, field.scale)
    if field.decoder is Decoder.TIME:
        return pa.time64(field.unit)
    if field.decoder is Decoder.TIMESTAMP:
        return pa.timestamp(field.unit)
    if field.element:
        return pa.list_(pa.field("item", arrow_of(field.element)))
    return _ARROW[field.decoder]


def schema_of(*fields: FieldSpec) -> pa.Schema:
    return pa.schema([(field.name, arrow_of(field)) for field in fields])


def row(*cells: bytes | None) -> bytes:
    """Build one row of a stream."""
    parts = [struct.pack(">h", len(cells))]
    for cell in cells:
        parts.append(struct.pack(">i", -1 if cell is None else len(cell)))
        parts.append(cell or b"")
    return b"".join(parts)


def numeric(*digits: int, weight: int = 0, sign: int = 0, display: int = 0) -> bytes:
    """Build a `numeric` of base-10000 digits."""
    return struct.pack(f">hhHh{len(digits)}h", len(digits), weight, sign, display, *digits)


def array(
    *cells: bytes | None, dimensions: int = 1, lower: int = 1, count: int | None = None
) -> bytes:
    """Build an array value with a one-dimensional body."""
    size = len(cells) if count is None else count
    head = struct.pack(">iiIii", dimensions, 1, 23, size, lower)
    return head + row(*cells)[2:]


def plain_values(values: pa.Array) -> list[Any]:  # noqa: PLR0911 - one per kind of type
    """Return values in a form JSON holds exactly: temporal types as the number they store."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain_values(values.storage)
    if pa.types.is_date32(kind):
        return values.cast(pa.int32()).to_pylist()
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return values.cast(pa.int64()).to_pylist()
    if pa.types.is_decimal(kind):
        return [None if value is None else str(value) for value in values.to_pylist()]
    if pa.types.is_floating(kind):
        return [None if value is None else repr(value) for value in values.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if value is None else value.hex() for value in values.to_pylist()]
    if pa.types.is_list(kind):
        return [
            plain_values(values.slice(index, 1).flatten()) if values[index].is_valid else None
            for index in range(len(values))
        ]
    return values.to_pylist()
