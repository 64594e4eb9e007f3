"""Memory and byte order for the interpreted kernel: the twin of `native.pxd`.

The two must offer the same names with the same meaning. Nothing here runs where the kernel is
compiled, except that the status codes are read from here by the error messages.
"""

# The functions are named after what they do to memory; `native.pxd` has the same ones.
# ruff: noqa: D103

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

OK: Final = 0
SHORT: Final = 1
NO_ROOM: Final = 2
END: Final = 3
WAITING: Final = 4
LOST: Final = 5
LARGE: Final = 6
REFUSED: Final = 7
NOT_FINITE: Final = 10
OUT_OF_RANGE: Final = 11
DOES_NOT_FIT: Final = 12
BAD_SHAPE: Final = 13
BAD_TEXT: Final = 14
TOO_LARGE: Final = 15
BATCH_TOO_LARGE: Final = 16
NO_FLAG: Final = 17
BAD_JSON: Final = 18
FIELD_COUNT: Final = 20
BAD_WIDTH: Final = 21
MALFORMED: Final = 22

IN_HEADER: Final = 0
IN_ROWS: Final = 1
AT_END: Final = 2
FAILED: Final = 3

NOWHERE: Final = memoryview(b"")
LOW32: Final = 0xFFFFFFFF
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 86_400_000_000
EPOCH_SHIFT_US: Final = 946_684_800_000_000  # from 1970-01-01 to 2000-01-01
MOST_NANO_US: Final = 9_223_372_036_854_775  # microseconds that int64 holds in nanoseconds
INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

BITS: Final = -1
VARIABLE: Final = 0
MAX_OFFSET: Final = 2147483647

Source = memoryview
Store = memoryview
DecodeCell = object


class Column:
    """One column's buffers and rules, with the fields of the C struct."""

    __slots__ = (
        "child",
        "data",
        "data_room",
        "decode",
        "has_nulls",
        "is_list",
        "is_nano",
        "is_null_on_invalid",
        "nulled",
        "offsets",
        "pending_nulled",
        "precision",
        "row_room",
        "scale",
        "validity",
        "wanted_bytes",
        "wanted_rows",
        "width",
    )

    def __init__(self) -> None:
        self.decode: Callable[[Column, int, memoryview, int, int], int]
        self.child: Column
        self.validity = self.offsets = self.data = memoryview(b"")
        self.row_room = self.data_room = self.wanted_rows = self.wanted_bytes = 0
        self.pending_nulled = self.nulled = 0
        self.width = self.precision = self.scale = 0
        self.is_list = self.is_nano = self.is_null_on_invalid = self.has_nulls = False


ColumnRef = Column

_BIG16: Final = Struct(">h")
_BIG32: Final = Struct(">i")
_BIG64: Final = Struct(">q")
_U16: Final = Struct("<H")
_U32: Final = Struct("<I")
_U64: Final = Struct("<Q")
_OFFSET: Final = Struct("<i")


def column_at(columns: list[Column], index: int) -> Column:
    return columns[index]


def has_signature(src: memoryview, pos: int) -> bool:
    return bytes(src[pos : pos + 11]) == b"PGCOPY\n\xff\r\n\x00"


def load16(src: memoryview, pos: int) -> int:
    return int(_BIG16.unpack_from(src, pos)[0])


def load32(src: memoryview, pos: int) -> int:
    return int(_BIG32.unpack_from(src, pos)[0])


def load64(src: memoryview, pos: int) -> int:
    return int(_BIG64.unpack_from(src, pos)[0])


def store16(dst: memoryview, index: int, value: int) -> None:
    _U16.pack_into(dst, index * 2, value & 0xFFFF)


def store32(dst: memoryview, index: int, value: int) -> None:
    _U32.pack_into(dst, index * 4, value & 0xFFFFFFFF)


def store64(dst: memoryview, index: int, value: int) -> None:
    _U64.pack_into(dst, index * 8, value & 0xFFFFFFFFFFFFFFFF)


def load_offset(offsets: memoryview, index: int) -> int:
    return int(_OFFSET.unpack_from(offsets, index * 4)[0])


def store_offset(offsets: memoryview, index: int, value: int) -> None:
    _OFFSET.pack_into(offsets, index * 4, value)


def set_bit(bits: memoryview, index: int) -> None:
    bits[index >> 3] |= 1 << (index & 7)


def clear_bit(bits: memoryview, index: int) -> None:
    bits[index >> 3] &= ~(1 << (index & 7)) & 0xFF


def copy_bytes(dst: memoryview, at: int, src: memoryview, pos: int, length: int) -> None:
    dst[at : at + length] = src[pos : pos + length]


def fill_bytes(dst: memoryview, start: int, stop: int, byte: int) -> None:
    if stop > start:
        dst[start:stop] = bytes([byte]) * (stop - start)
