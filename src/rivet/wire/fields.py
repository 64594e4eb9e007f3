"""What the kernel is told of each field of a stream.

A decoder belongs to one type of the wire and gives one Arrow type; nothing is widened or converted
here. Where an override asks for another type, the engine casts in the SELECT.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from rivet.model.types import MAX_DECIMAL_PRECISION, NARROW_DECIMAL_PRECISION

__all__ = ["Decoder", "FieldSpec"]


class Decoder(IntEnum):
    """The forms of values the kernel reads, and the Arrow type each becomes.

    The first are PostgreSQL's binary forms, some of which are plain bytes everywhere. Those from
    32 on are the text forms of MySQL and MariaDB.
    """

    BOOL = 1  # bool
    INT2 = 2  # int16
    INT4 = 3  # int32
    INT8 = 4  # int64
    OID = 5  # int64, from four unsigned bytes
    FLOAT4 = 6  # float32
    FLOAT8 = 7  # float64
    DECIMAL = 8  # numeric to decimal128(p, s), or decimal256 above 38 digits
    DATE = 9  # date32
    TIME = 10  # time64(unit), without time zone
    TIMESTAMP = 11  # timestamp(unit), with or without a zone in the schema
    TEXT = 12  # string: text, varchar, bpchar, name, enum, anything printed as text
    BYTES = 13  # binary
    JSONB = 14  # string, without the version byte
    UUID = 15  # fixed_size_binary(16)
    INTERVAL = 16  # string, ISO 8601; infinities are refused or NULL
    ARRAY = 17  # list of the element's type
    JSON = 18  # string: JSON by RFC 8259; any other text is refused
    ANY_INTERVAL = 19  # string, ISO 8601, `infinity` or `-infinity`
    FINITE_INTERVAL = 20  # string, ISO 8601, of a server that has no infinite ones
    TEXT_BOOL = 32  # bool, from 0 or 1; any other number is refused
    TEXT_INT2 = 33  # int16
    TEXT_INT4 = 34  # int32
    TEXT_INT8 = 35  # int64
    TEXT_UINT8 = 36  # uint64
    TEXT_FLOAT4 = 37  # float32
    TEXT_FLOAT8 = 38  # float64
    TEXT_DECIMAL = 39  # decimal128(p, s), or decimal256 above 38 digits
    TEXT_DATE = 40  # date32
    TEXT_TIME = 41  # time64(unit)
    TEXT_TIMESTAMP = 42  # timestamp(unit), from a date or a date and a time
    TEXT_UUID = 43  # fixed_size_binary(16), from 32 hex digits with hyphens
    BIT_BOOL = 44  # bool, from one byte
    BIT_INT8 = 45  # int64 or uint64, from up to eight bytes, highest first
    GEOMETRY = 46  # binary: WKB, without the reference system's number before it


_WIDTHS: Final = {
    Decoder.BOOL: -1,
    Decoder.INT2: 2,
    Decoder.INT4: 4,
    Decoder.INT8: 8,
    Decoder.OID: 8,
    Decoder.FLOAT4: 4,
    Decoder.FLOAT8: 8,
    Decoder.DATE: 4,
    Decoder.TIME: 8,
    Decoder.TIMESTAMP: 8,
    Decoder.UUID: 16,
    Decoder.TEXT_BOOL: -1,
    Decoder.TEXT_INT2: 2,
    Decoder.TEXT_INT4: 4,
    Decoder.TEXT_INT8: 8,
    Decoder.TEXT_UINT8: 8,
    Decoder.TEXT_DATE: 4,
    Decoder.TEXT_TIME: 8,
    Decoder.TEXT_TIMESTAMP: 8,
    Decoder.TEXT_UUID: 16,
    Decoder.BIT_BOOL: -1,
    Decoder.BIT_INT8: 8,
}
_DECIMALS: Final = frozenset({Decoder.DECIMAL, Decoder.TEXT_DECIMAL})


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of every row.

    Attributes:
        name: The column's name, for messages and counters.
        decoder: How its bytes are read.
        precision: Decimals: 1..76 digits in all.
        scale: Decimals: 0..precision digits after the point.
        unit: Times and timestamps: what the file counts in.
        invalid: Whether NaN, infinities and temporal values outside the Arrow type fail the read
            or become NULL and are counted. A decimal that is finite and does not fit always fails.
        element: Arrays only: the elements; its own `invalid` rules them.
        is_converted: Texts: the server sends bytes that are no UTF-8 in place of a text that its
            conversion to Unicode would change.
    """

    name: str
    decoder: Decoder
    precision: int = 0
    scale: int = 0
    unit: Literal["us", "ns"] = "us"
    invalid: Literal["fail", "null"] = "fail"
    element: FieldSpec | None = None
    is_converted: bool = False

    def __post_init__(self) -> None:
        if (self.decoder is Decoder.ARRAY) != (self.element is not None):
            msg = f"field '{self.name}': an array, and only an array, has an element"
            raise ValueError(msg)
        if self.element and self.element.decoder is Decoder.ARRAY:
            msg = f"field '{self.name}': the element of an array cannot be an array"
            raise ValueError(msg)
        if self.decoder in _DECIMALS and not (
            1 <= self.precision <= MAX_DECIMAL_PRECISION and 0 <= self.scale <= self.precision
        ):
            msg = f"field '{self.name}': decimal({self.precision},{self.scale}) is out of range"
            raise ValueError(msg)

    @property
    def width(self) -> int:
        """Bytes per value in Arrow; 0 where it varies, -1 for single bits."""
        if self.decoder in _DECIMALS:
            return 16 if self.precision <= NARROW_DECIMAL_PRECISION else 32
        return _WIDTHS.get(self.decoder, 0)

    @property
    def is_text(self) -> bool:
        """Whether the server's bytes become text as they are, so that they must be UTF-8."""
        return self.decoder in (Decoder.TEXT, Decoder.JSONB, Decoder.JSON)

    @property
    def is_number_text(self) -> bool:
        """Whether the server's bytes are kept until the batch is taken, and read as floats then."""
        return self.decoder in (Decoder.TEXT_FLOAT4, Decoder.TEXT_FLOAT8)

    @property
    def type_label(self) -> str:
        """What messages call the type a value must fit."""
        if self.decoder in _DECIMALS:
            return f"decimal({self.precision},{self.scale})"
        return "the column's type"
