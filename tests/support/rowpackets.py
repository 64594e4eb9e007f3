"""MySQL result packets for tests, built by hand: rows, the end, the server's error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from rivet.wire.fields import Decoder, FieldSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 0xFFFFFF
END: Final = b"\xfe\x00\x00\x02\x00"
ERROR: Final = b"\xff\x25\x05#70100Query execution was interrupted"

_ARROW: Final = {
    Decoder.TEXT_BOOL: pa.bool_(),
    Decoder.TEXT_INT2: pa.int16(),
    Decoder.TEXT_INT4: pa.int32(),
    Decoder.TEXT_INT8: pa.int64(),
    Decoder.TEXT_UINT8: pa.uint64(),
    Decoder.TEXT_FLOAT4: pa.float32(),
    Decoder.TEXT_FLOAT8: pa.float64(),
    Decoder.TEXT_DATE: pa.date32(),
    Decoder.TEXT_UUID: pa.uuid(),
    Decoder.TEXT: pa.string(),
    Decoder.BYTES: pa.binary(),
    Decoder.UUID: pa.uuid(),
    Decoder.BIT_BOOL: pa.bool_(),
    Decoder.BIT_INT8: pa.uint64(),
    Decoder.GEOMETRY: pa.binary(),
}


def arrow_of(field: FieldSpec) -> pa.DataType:
    """Return the Arrow type of a field, as a plan would ask for it."""
    if field.decoder is Decoder.TEXT_DECIMAL:
        make = pa.decimal128 if field.precision <= 38 else pa.decimal256
        return make(field.precision, field.scale)
    if field.decoder is Decoder.TEXT_TIME:
        return pa.time64(field.unit)
    if field.decoder is Decoder.TEXT_TIMESTAMP:
        return pa.timestamp(field.unit)
    return _ARROW[field.decoder]


def schema_of(*fields: FieldSpec) -> pa.Schema:
    return pa.schema([(field.name, arrow_of(field)) for field in fields])


def cell(value: bytes | None) -> bytes:
    """Build a value behind its length."""
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + value
    return b"\xfe" + size.to_bytes(8, "little") + value


def row(*cells: bytes | None) -> bytes:
    return b"".join(map(cell, cells))


def packets(payloads: Iterable[bytes], first: int = 0) -> bytes:
    """Join payloads as packets, cutting those that are too long for one."""
    made = []
    sequence = first
    for payload in payloads:
        rest = payload
        while True:
            piece, rest = rest[:MOST], rest[MOST:]
            made.append(len(piece).to_bytes(3, "little") + bytes([sequence & 0xFF]) + piece)
            sequence += 1
            if len(piece) < MOST:
                break
    return b"".join(made)


class Pieces:
    """A line on which these bytes come, one piece or less at a time, and then the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def expect(self, *, is_next: bool = False) -> None:
        """Wait for nothing."""

    def read_into(self, target: memoryview) -> int:
        """Put the next bytes into a buffer."""
        if not self._pieces:
            return 0
        piece, rest = self._pieces[0][: len(target)], self._pieces[0][len(target) :]
        self._pieces[:1] = [rest] if rest else []
        target[: len(piece)] = piece
        return len(piece)
