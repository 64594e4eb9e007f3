"""MySQL's and MariaDB's types as Rivet's: one table, and the policies that may turn one to text.

Decides from what the server says of a result's columns and from the rules alone, never from data.
Both servers describe a column of a table and of a query in the same words, so that every way to
read a table gives one schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.model import types as logical
from rivet.model.columns import Column
from rivet.model.types import Fidelity, InvalidPolicy, JsonPolicy, LogicalType

if TYPE_CHECKING:
    from rivet.model.columns import ColumnRules

TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP = 1, 2, 3, 4, 5, 6, 7
LONGLONG, INT24, DATE, TIME, DATETIME, YEAR, NEWDATE = 8, 9, 10, 11, 12, 13, 14
BIT, VECTOR, JSON, NEWDECIMAL, DECIMAL = 16, 242, 245, 246, 0
VARCHAR, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB = 15, 249, 250, 251, 252
VAR_STRING, STRING, GEOMETRY = 253, 254, 255
# What the wire shows as strings; these numbers are Rivet's own.
UUID, INET, ENUM, SET, TEXT, BYTES = 1001, 1002, 1003, 1004, 1005, 1006

_BINARY_CHARSET: Final = 63
_NOT_NULL, _UNSIGNED, _ZEROFILL, _BINARY, _ENUM_FLAG, _SET_FLAG = 1, 32, 64, 128, 256, 2048
_CHARACTER_BYTES: Final = 4  # of utf8mb4, in which every text is sent
_UUID_BYTES, _INET6_BYTES, _INET4_BYTES = 36 * 4, 39 * 4, 15 * 4
_UNSPECIFIED_SCALE: Final = 31
_LARGEST_SIGNED_BITS: Final = 63

INTEGERS: Final = frozenset({TINY, SHORT, INT24, LONG, LONGLONG})
FLOATS: Final = frozenset({FLOAT, DOUBLE})
DECIMALS: Final = frozenset({NEWDECIMAL, DECIMAL})
BLOBS: Final = frozenset({TINY_BLOB, BLOB, MEDIUM_BLOB, LONG_BLOB})
STRINGS: Final = frozenset({VARCHAR, VAR_STRING, STRING}) | BLOBS
DATES: Final = frozenset({DATE, NEWDATE, DATETIME, TIMESTAMP})
RANGED: Final = DATES | {TIME}

_INTEGER_NAMES: Final = {
    TINY: "tinyint",
    SHORT: "smallint",
    INT24: "mediumint",
    LONG: "int",
    LONGLONG: "bigint",
}
_INTEGER_TYPES: Final[dict[tuple[int, bool], LogicalType]] = {
    (TINY, False): logical.INT16,
    (TINY, True): logical.INT16,
    (SHORT, False): logical.INT16,
    (SHORT, True): logical.INT32,
    (INT24, False): logical.INT32,
    (INT24, True): logical.INT32,
    (LONG, False): logical.INT32,
    (LONG, True): logical.INT64,
    (LONGLONG, False): logical.INT64,
    (LONGLONG, True): logical.UINT64,
}
_TEXT_SIZES: Final = ((255, "tiny"), (65_535, ""), (16_777_215, "medium"), (2**32, "long"))
_BOOL_NOTE: Final = "other values than 0 and 1 fail; set types.tinyint1: int for numbers"
_TIME_NOTE: Final = "a time below 00:00:00 or from 24:00:00 on does not fit; `text` keeps all"
_SRID_NOTE: Final = "WKB; the number of the spatial reference system is not kept (`binary` has it)"
_JSON_NOTE: Final = "JSON without its label, see types.json; this server's values may be none"
_LONG_NOTE: Final = "more digits than a decimal in a file has; cast it in the query for a number"
_ZERO_NOTE: Final = "a zero date, or one with a zero month or day, follows types.out_of_range"


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """One column of a result, as the server describes it.

    Attributes:
        name: Its name.
        code: The type's number on the wire, or Rivet's own for uuid, inet, enum and set.
        length: The most bytes of its text; the width of an integer or a bit field.
        scale: Digits behind the point, or of the fraction of a second.
        is_unsigned: Integers and decimals: no sign.
        is_binary: Strings: bytes and not text.
        nullable: Whether it may be NULL.
        is_shifted: TIMESTAMP: the session shows it in another zone than UTC.
        has_gaps: Texts: its character set has characters that Unicode does not have.
    """

    name: str
    code: int
    length: int = 0
    scale: int = 0
    is_unsigned: bool = False
    is_binary: bool = False
    nullable: bool = True
    has_gaps: bool = False
    is_shifted: bool = False

    @property
    def value_code(self) -> int:
        """What its values are: `code`, but one number each for all texts and for all bytes."""
        if self.code in STRINGS:
            return BYTES if self.is_binary else TEXT
        return self.code

    @property
    def is_text(self) -> bool:
        """Whether its values are texts in a character set."""
        return self.value_code in {TEXT, ENUM, SET}

    @property
    def precision(self) -> int:
        """Digits of a decimal in all."""
        return self.length - (1 if self.scale else 0) - (0 if self.is_unsigned else 1)

    @property
    def spelling(self) -> str:
        """Its type as people write it, the same on both servers and for tables and queries."""
        if self.code in INTEGERS:
            width = "(1)" if self.is_flag else ""
            return f"{_INTEGER_NAMES[self.code]}{width}{' unsigned' if self.is_unsigned else ''}"
        if self.code in DECIMALS:
            unsigned = " unsigned" if self.is_unsigned else ""
            return f"decimal({self.precision},{self.scale}){unsigned}"
        if self.code in STRINGS:
            return self._string_spelling()
        name = _NAMES.get(self.code, f"type {self.code}")
        if self.code == BIT:
            return f"bit({self.length})"
        is_fractional = self.code in {TIME, DATETIME, TIMESTAMP} and 0 < self.scale <= 6  # noqa: PLR2004
        return f"{name}({self.scale})" if is_fractional else name

    @property
    def is_flag(self) -> bool:
        """Whether it was declared `tinyint(1)`, or `bool`, which is the same."""
        return self.code == TINY and self.length == 1 and not self.is_unsigned

    def _string_spelling(self) -> str:
        if self.code in BLOBS:
            characters = self.length // (1 if self.is_binary else _CHARACTER_BYTES)
            if self.length >= 2**32 - _CHARACTER_BYTES:
                characters = self.length
            size = next((name for most, name in _TEXT_SIZES if characters <= most), "long")
            return f"{size}{'blob' if self.is_binary else 'text'}"
        if self.is_binary:
            return f"{'binary' if self.code == STRING else 'varbinary'}({self.length})"
        name = "char" if self.code == STRING else "varchar"
        return f"{name}({self.length // _CHARACTER_BYTES})"


_NAMES: Final = {
    FLOAT: "float",
    DOUBLE: "double",
    NULL: "null",
    TIMESTAMP: "timestamp",
    DATE: "date",
    NEWDATE: "date",
    TIME: "time",
    DATETIME: "datetime",
    YEAR: "year",
    BIT: "bit",
    JSON: "json",
    GEOMETRY: "geometry",
    VECTOR: "vector",
    UUID: "uuid",
    INET: "inet",
    ENUM: "enum",
    SET: "set",
}


def native_column(
    *, name: str, code: int, charset: int, length: int, flags: int, scale: int
) -> NativeColumn:
    """Return the column that a column definition packet describes.

    MariaDB shows its types uuid, inet4 and inet6 as unsigned strings of a fixed length, which no
    string type can be.

    Source:
        MySQL internals manual, "Column Definition"; MariaDB 10.5 and newer, tried out.
    """
    if flags & _ENUM_FLAG:
        code = ENUM
    elif flags & _SET_FLAG:
        code = SET
    elif code == STRING and flags & _UNSIGNED and charset != _BINARY_CHARSET:
        code = UUID if length == _UUID_BYTES else INET
    return NativeColumn(
        name=name,
        code=code,
        length=length,
        scale=0 if scale == _UNSPECIFIED_SCALE and code not in DECIMALS else scale,
        is_unsigned=bool(flags & _UNSIGNED),
        is_binary=charset == _BINARY_CHARSET,
        nullable=not flags & _NOT_NULL,
    )


def map_column(native: NativeColumn, rules: ColumnRules) -> Column | None:
    """Return the column without its override; None where there is no mapping."""
    found = _mapping(native, rules)
    if found is None:
        return None
    kind, fidelity, note = found
    invalid = policy_of(native, rules) if native.code in RANGED else InvalidPolicy.FAIL
    if invalid is InvalidPolicy.TEXT:
        kind, fidelity = logical.STRING, Fidelity.TEXT
        note, invalid = "a `text` policy keeps the whole column as text", InvalidPolicy.FAIL
    return Column(
        name=native.name,
        native_type=native.spelling,
        logical=kind,
        fidelity=fidelity,
        native_code=native.value_code,
        nullable=native.nullable,
        invalid=invalid,
        notes=(note,) if note else (),
    )


def policy_of(native: NativeColumn, rules: ColumnRules) -> InvalidPolicy:
    """Return what becomes of a value that does not fit; the column's own policy comes first.

    Without one a zero date becomes NULL, for it says that there is no date; a TIME that is no time
    of a day says something, so it fails.
    """
    own = rules.invalid_overrides.get(native.name) or rules.out_of_range
    if own is not None:
        return own
    return InvalidPolicy.NULL if native.code in DATES else InvalidPolicy.FAIL


_Found = tuple[LogicalType, Fidelity, str | None]
_PLAIN: Final[dict[int, _Found]] = {
    FLOAT: (logical.FLOAT32, Fidelity.EXACT, None),
    DOUBLE: (logical.FLOAT64, Fidelity.EXACT, None),
    YEAR: (logical.INT16, Fidelity.EXACT, None),
    DATE: (logical.DATE, Fidelity.EXACT, _ZERO_NOTE),
    NEWDATE: (logical.DATE, Fidelity.EXACT, _ZERO_NOTE),
    DATETIME: (logical.TIMESTAMP, Fidelity.EXACT, _ZERO_NOTE),
    TIMESTAMP: (logical.TIMESTAMP_TZ, Fidelity.EXACT, _ZERO_NOTE),
    TIME: (logical.TIME, Fidelity.EXACT, _TIME_NOTE),
    JSON: (logical.JSON, Fidelity.LOGICAL_STRING, None),
    UUID: (logical.UUID, Fidelity.EXACT, None),
    INET: (logical.STRING, Fidelity.TEXT, None),
    ENUM: (logical.ENUM, Fidelity.COMPATIBLE, None),
    SET: (logical.ENUM, Fidelity.COMPATIBLE, "the labels of a set, with commas between them"),
    GEOMETRY: (logical.GEOMETRY, Fidelity.COMPATIBLE, _SRID_NOTE),
    VECTOR: (logical.BINARY, Fidelity.COMPATIBLE, "float32 numbers, lowest byte first"),
    NULL: (logical.STRING, Fidelity.EXACT, "every value is NULL"),
}


def _mapping(native: NativeColumn, rules: ColumnRules) -> _Found | None:
    if native.code in STRINGS:
        return (logical.BINARY if native.is_binary else logical.STRING, Fidelity.EXACT, None)
    if native.code == JSON and not _is_labelled(native, rules):
        return (logical.STRING, Fidelity.EXACT, _JSON_NOTE)
    if native.is_flag and rules.tinyint1_is_bool:
        return (logical.BOOL, Fidelity.EXACT, _BOOL_NOTE)
    if native.code in DECIMALS and native.precision > logical.MAX_DECIMAL_PRECISION:
        return (logical.STRING, Fidelity.TEXT, _LONG_NOTE)
    number = _number(native)
    return (number, Fidelity.EXACT, None) if number else _PLAIN.get(native.code)


def _is_labelled(native: NativeColumn, rules: ColumnRules) -> bool:
    """Whether a JSON column gets the label: MySQL stores JSON as such, MariaDB as a text.

    MariaDB's JSON_VALID takes more than RFC 8259, so that it cannot be asked about its values.
    """
    if rules.json is JsonPolicy.CHECK:
        return native.is_binary
    return rules.json is JsonPolicy.JSON


def _number(native: NativeColumn) -> LogicalType | None:
    if native.code in INTEGERS:
        return _INTEGER_TYPES[native.code, native.is_unsigned]
    if native.code in DECIMALS:
        return logical.decimal(native.precision, native.scale)
    if native.code != BIT:
        return None
    if native.length == 1:
        return logical.BOOL
    return logical.INT64 if native.length <= _LARGEST_SIGNED_BITS else logical.UINT64
