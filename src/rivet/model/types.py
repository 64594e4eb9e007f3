"""Logical types: what a column means, apart from how an engine or a file spells it.

A logical type is decided from the catalog and the rules of the export, never from data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from typing_extensions import override

from rivet.errors import UnsafeTypeError

MAX_DECIMAL_PRECISION: Final = 76
NARROW_DECIMAL_PRECISION: Final = 38
ALTERNATIVE: Final = " | "
"""Stands between the Arrow types that a remembered column may have, where that is not certain."""


class Kind(StrEnum):
    """The families of logical types."""

    BOOL = "bool"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    STRING = "string"
    BINARY = "binary"
    JSON = "json"
    UUID = "uuid"
    ENUM = "enum"
    INTERVAL = "interval"
    GEOMETRY = "geometry"
    LIST = "list"
    UNSUPPORTED = "unsupported"


class Unit(StrEnum):
    """The smallest step of a time or a timestamp."""

    MICROSECOND = "us"
    NANOSECOND = "ns"


class Fidelity(StrEnum):
    """How faithful a mapping is, best first."""

    EXACT = "exact"
    LOGICAL_STRING = "logical_string"
    COMPATIBLE = "compatible"
    TEXT = "text"
    LOSSY = "lossy"
    UNSUPPORTED = "unsupported"


class InvalidPolicy(StrEnum):
    """What becomes of a value that the column's type in the file cannot hold."""

    FAIL = "fail"
    NULL = "null"
    TEXT = "text"


class JsonPolicy(StrEnum):
    """What a JSON column becomes where its database takes more than JSON by RFC 8259.

    `JSON` labels it and fails at a value that is none; `TEXT` never labels it; `CHECK` asks the
    source before the first row and labels it where every value is JSON.
    """

    JSON = "json"
    TEXT = "text"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class LogicalType:
    """One logical type.

    Attributes:
        kind: The family.
        precision: Decimals only: 1..76 digits.
        scale: Decimals only: 0..precision digits after the point.
        unit: Times and timestamps only.
        is_utc: Timestamps only: True for an instant, False for a wall-clock reading.
        element: Lists only: the type of the (nullable) elements.
        native: Unsupported types only: the engine's name for it.
    """

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    unit: Unit | None = None
    is_utc: bool = False
    element: LogicalType | None = None
    native: str | None = None

    @property
    def label(self) -> str:
        """The name shown in reports and stored in files, such as `decimal(10,2)`."""
        match self.kind:
            case Kind.DECIMAL:
                text = f"decimal({self.precision},{self.scale})"
            case Kind.TIME:
                text = f"time({self.unit})"
            case Kind.TIMESTAMP:
                text = (
                    f"timestamp_tz({self.unit},UTC)" if self.is_utc else f"timestamp({self.unit})"
                )
            case Kind.LIST:
                text = f"list<{self.element.label if self.element else '?'}>"
            case Kind.UNSUPPORTED:
                text = f"unsupported({self.native})"
            case _:
                text = self.kind.value
        return text

    @override
    def __str__(self) -> str:
        return self.label


BOOL: Final = LogicalType(Kind.BOOL)
INT16: Final = LogicalType(Kind.INT16)
INT32: Final = LogicalType(Kind.INT32)
INT64: Final = LogicalType(Kind.INT64)
UINT64: Final = LogicalType(Kind.UINT64)
FLOAT32: Final = LogicalType(Kind.FLOAT32)
FLOAT64: Final = LogicalType(Kind.FLOAT64)
DATE: Final = LogicalType(Kind.DATE)
TIME: Final = LogicalType(Kind.TIME, unit=Unit.MICROSECOND)
TIMESTAMP: Final = LogicalType(Kind.TIMESTAMP, unit=Unit.MICROSECOND)
TIMESTAMP_NS: Final = LogicalType(Kind.TIMESTAMP, unit=Unit.NANOSECOND)
TIMESTAMP_TZ: Final = LogicalType(Kind.TIMESTAMP, unit=Unit.MICROSECOND, is_utc=True)
TIMESTAMP_TZ_NS: Final = LogicalType(Kind.TIMESTAMP, unit=Unit.NANOSECOND, is_utc=True)
STRING: Final = LogicalType(Kind.STRING)
BINARY: Final = LogicalType(Kind.BINARY)
JSON: Final = LogicalType(Kind.JSON)
UUID: Final = LogicalType(Kind.UUID)
ENUM: Final = LogicalType(Kind.ENUM)
INTERVAL: Final = LogicalType(Kind.INTERVAL)
GEOMETRY: Final = LogicalType(Kind.GEOMETRY)


def decimal(precision: int, scale: int) -> LogicalType:
    """Return a decimal type.

    Args:
        precision: 1..76 digits in all.
        scale: 0..precision digits after the point.

    Raises:
        UnsafeTypeError: The numbers are out of range.
    """
    if not 1 <= precision <= MAX_DECIMAL_PRECISION or not 0 <= scale <= precision:
        msg = (
            f"decimal({precision},{scale}) is out of range: "
            f"precision is 1 to {MAX_DECIMAL_PRECISION}, scale is 0 to the precision"
        )
        raise UnsafeTypeError(msg)
    return LogicalType(Kind.DECIMAL, precision=precision, scale=scale)


def list_of(element: LogicalType) -> LogicalType:
    """Return the list type with this element type."""
    return LogicalType(Kind.LIST, element=element)


def unsupported(native: str) -> LogicalType:
    """Return the type of a column that has no mapping."""
    return LogicalType(Kind.UNSUPPORTED, native=native)


_NAMES: Final[dict[str, LogicalType]] = {
    name: logical
    for logical, names in (
        (BOOL, ("bool", "boolean")),
        (INT16, ("int2", "smallint", "int16")),
        (INT32, ("int4", "int", "integer", "int32")),
        (INT64, ("int8", "bigint", "int64")),
        (FLOAT32, ("float4", "real", "float32")),
        (FLOAT64, ("float8", "double", "double precision", "float64")),
        (STRING, ("text", "varchar", "string", "char", "bpchar", "name")),
        (BINARY, ("binary", "bytea", "blob", "varbinary")),
        (DATE, ("date",)),
        (TIME, ("time", "time without time zone")),
        (JSON, ("json", "jsonb")),
        (UUID, ("uuid",)),
        (TIMESTAMP, ("timestamp", "timestamp without time zone")),
        (TIMESTAMP_NS, ("timestamp_ns",)),
        (
            TIMESTAMP_TZ,
            ("timestamp_tz", "timestamptz", "timestamp_utc", "timestamp with time zone"),
        ),
        (TIMESTAMP_TZ_NS, ("timestamp_tz_ns",)),
    )
    for name in names
}
_DECIMAL = re.compile(r"^(?:decimal|numeric)\s*\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$")

OVERRIDE_NAMES: Final = (
    "bool, int2, int4, int8, float4, float8, decimal(p,s), text, binary, date, time, json, uuid, "
    "timestamp, timestamp_ns, timestamp_tz, timestamp_tz_ns"
)


def parse_override(text: str, *, column: str) -> LogicalType:
    """Read the type of a `columns:` override, in any letter case.

    Args:
        text: Such as `bigint` or `decimal(18,4)`.
        column: The column it is for, for the error.

    Raises:
        UnsafeTypeError: No such type; the message lists the supported names.
    """
    lowered = " ".join(text.lower().split())
    if match := _DECIMAL.match(lowered):
        return decimal(int(match[1]), int(match[2]))
    found = _NAMES.get(lowered)
    if found is None:
        msg = f"column '{column}': '{text}' is not a type an override can name"
        raise UnsafeTypeError(msg, hint=f"use one of: {OVERRIDE_NAMES}", column=column)
    return found
