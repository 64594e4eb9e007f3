"""The `columns:` overrides MySQL and MariaDB can do exactly, and how each column is selected.

Values come as the server's own text, so most overrides only choose another decoder, which checks
each value. What would round, cut or guess is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import SERVER_STATUS

from rivet.model.columns import REDACTED, Mask
from rivet.model.types import Fidelity, InvalidPolicy, Kind, LogicalType, Unit
from rivet.redact import visible
from rivet.sources.columns import choose_columns
from rivet.sources.dialect import Dialect
from rivet.sources.mysql import types
from rivet.sources.mysql.charsets import checked, own_bytes
from rivet.sources.mysql.types import map_column, policy_of
from rivet.wire.fields import Decoder, FieldSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymysql.connections import Connection

    from rivet.model.columns import Column, ColumnRules
    from rivet.sources.mysql.types import NativeColumn

DIALECT: Final = Dialect(
    quote="`",
    has_backslash_escapes=True,
    has_hash_comments=True,
    has_run_comments=True,
    has_variables=True,
    picks_in_groups=True,
)
_WITHOUT_ESCAPES: Final = replace(DIALECT, has_backslash_escapes=False)

_WHOLE_NUMBERS: Final = frozenset({Kind.INT16, Kind.INT32, Kind.INT64, Kind.DECIMAL})
_EXACT_IN_DOUBLE: Final = frozenset({types.TINY, types.SHORT, types.INT24, types.LONG})
_ANY_TEXT: Final = frozenset({types.TEXT, types.ENUM, types.SET})
_SUPPORTED: Final[tuple[tuple[frozenset[int], frozenset[Kind]], ...]] = (
    (types.INTEGERS | {types.YEAR}, _WHOLE_NUMBERS),
    (_EXACT_IN_DOUBLE | types.FLOATS, frozenset({Kind.FLOAT64})),
    (frozenset({types.TINY}), frozenset({Kind.BOOL})),
    (frozenset({types.FLOAT}), frozenset({Kind.FLOAT32})),
    (types.DECIMALS, frozenset({Kind.DECIMAL})),
    (frozenset({types.DATE, types.NEWDATE}), frozenset({Kind.DATE})),
    (types.DATES, frozenset({Kind.TIMESTAMP})),
    (frozenset({types.TIME}), frozenset({Kind.TIME})),
    (frozenset({types.BIT}), frozenset({Kind.INT64, Kind.BINARY})),
    (frozenset({types.TEXT, types.JSON}), frozenset({Kind.JSON})),
    (frozenset({types.TEXT}), frozenset({Kind.UUID})),
    (_ANY_TEXT | {types.BYTES, types.GEOMETRY, types.VECTOR}, frozenset({Kind.BINARY})),
    (frozenset({types.BYTES, types.UUID}), frozenset({Kind.UUID})),
    # Everything that is shown as text, and bytes that are UTF-8.
    (
        types.INTEGERS
        | types.FLOATS
        | types.DECIMALS
        | types.RANGED
        | _ANY_TEXT
        | {types.YEAR, types.JSON, types.UUID, types.INET, types.NULL, types.BYTES}
        | {types.GEOMETRY},
        frozenset({Kind.STRING}),
    ),
)
_TEXTUAL: Final = _ANY_TEXT | {types.JSON, types.NULL, types.BYTES}
_CHECKED: Final = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP})
_NANO_NOTE: Final = "values outside 1677-09-21 to 2262-04-11 do not fit"
_OVERRIDE_NOTE: Final = "type set by an override"

_DECODERS: Final = {
    Kind.BOOL: Decoder.TEXT_BOOL,
    Kind.INT16: Decoder.TEXT_INT2,
    Kind.INT32: Decoder.TEXT_INT4,
    Kind.INT64: Decoder.TEXT_INT8,
    Kind.UINT64: Decoder.TEXT_UINT8,
    Kind.FLOAT32: Decoder.TEXT_FLOAT4,
    Kind.FLOAT64: Decoder.TEXT_FLOAT8,
    Kind.DECIMAL: Decoder.TEXT_DECIMAL,
    Kind.DATE: Decoder.TEXT_DATE,
    Kind.TIME: Decoder.TEXT_TIME,
    Kind.TIMESTAMP: Decoder.TEXT_TIMESTAMP,
    Kind.BINARY: Decoder.BYTES,
    Kind.GEOMETRY: Decoder.GEOMETRY,
    Kind.JSON: Decoder.JSON,
}
_BIT_DECODERS: Final = {
    Kind.BOOL: Decoder.BIT_BOOL,
    Kind.INT64: Decoder.BIT_INT8,
    Kind.UINT64: Decoder.BIT_INT8,
    Kind.BINARY: Decoder.BYTES,
}


def dialect_of(connection: Connection[Any]) -> Dialect:
    """Return how a user's statement is written, which a session's `sql_mode` decides."""
    flag = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
    return _WITHOUT_ESCAPES if connection.server_status & flag else DIALECT


def plan_columns(natives: Iterable[NativeColumn], rules: ColumnRules) -> tuple[Column, ...]:
    """Return the columns of an export under the user's rules; raises as `choose_columns`."""

    def decide(native: NativeColumn) -> Column | str:
        column = map_column(native, rules)
        wanted = rules.overrides.get(native.name)
        if column is None:
            return f"'{visible(native.name)}' ({native.spelling}) is a type Rivet does not know"
        if wanted is None or wanted == column.logical:
            return column
        return _overridden(native, column, wanted, rules)

    return choose_columns(natives, rules, decide)


def _overridden(
    native: NativeColumn, column: Column, wanted: LogicalType, rules: ColumnRules
) -> Column | str:
    if not _is_supported(native, wanted):
        return _refusal(native, wanted)
    invalid = InvalidPolicy.FAIL
    if wanted.kind in _CHECKED:
        own = policy_of(native, rules)
        invalid = InvalidPolicy.FAIL if own is InvalidPolicy.TEXT else own
    note, fidelity = _remark(native, wanted)
    return replace(
        column,
        logical=wanted,
        fidelity=fidelity,
        invalid=invalid,
        notes=((note,) if note else ()) + (_OVERRIDE_NOTE,),
    )


def _is_supported(native: NativeColumn, wanted: LogicalType) -> bool:
    code = native.value_code
    if code == types.BIT and wanted.kind is Kind.INT64:
        return native.length < 64  # noqa: PLR2004 - a signed number has 63 bits
    return any(code in codes and wanted.kind in kinds for codes, kinds in _SUPPORTED)


def _remark(native: NativeColumn, wanted: LogicalType) -> tuple[str | None, Fidelity]:
    code = native.value_code
    note = None
    if wanted.kind is Kind.JSON:
        return None, Fidelity.LOGICAL_STRING
    if wanted.kind is Kind.STRING and code not in _TEXTUAL:
        return None, Fidelity.TEXT
    if wanted.kind is Kind.STRING and code == types.BYTES:
        note = "each value is checked to be UTF-8"
    elif wanted.kind is Kind.BINARY and code in _ANY_TEXT:
        note = "the bytes of the text in the character set of the column"
    elif wanted.kind is Kind.BINARY and code == types.GEOMETRY:
        note = "the server's own form: four bytes of reference system, then WKB"
    elif wanted.kind is Kind.TIMESTAMP and wanted.is_utc and code != types.TIMESTAMP:
        note = "the wall-clock reading is taken as UTC"
    elif wanted.kind is Kind.TIMESTAMP and not wanted.is_utc and code == types.TIMESTAMP:
        note = "the instant is written as its UTC wall-clock reading"
    if note is not None:
        return note, Fidelity.COMPATIBLE
    return (_NANO_NOTE if wanted.unit is Unit.NANOSECOND else None), Fidelity.EXACT


def _refusal(native: NativeColumn, wanted: LogicalType) -> str:
    code = native.value_code
    kinds = {kind for codes, some in _SUPPORTED if code in codes for kind in some}
    if code == types.BIT and not _is_supported(native, LogicalType(Kind.INT64)):
        kinds.discard(Kind.INT64)
    shown = sorted("text" if kind is Kind.STRING else kind.value for kind in kinds) or ["none"]
    name = visible(native.name)
    return f"'{name}' from {native.spelling} to {wanted} (supported: {', '.join(shown)})"


def field_spec(column: Column, native: NativeColumn) -> FieldSpec:
    """Return what the kernel is told of a planned column."""
    return FieldSpec(
        name=column.name,
        decoder=_decoder(column),
        precision=column.logical.precision or 0,
        scale=column.logical.scale or 0,
        unit="ns" if column.logical.unit is Unit.NANOSECOND else "us",
        invalid="null" if column.invalid is InvalidPolicy.NULL else "fail",
        is_converted=native.has_gaps,
    )


def _decoder(column: Column) -> Decoder:
    kind = column.logical.kind
    if kind is Kind.UUID:
        return Decoder.UUID if column.native_code == types.BYTES else Decoder.TEXT_UUID
    if column.native_code == types.BIT:
        return _BIT_DECODERS.get(kind, Decoder.TEXT)
    if kind is Kind.JSON and column.invalid is InvalidPolicy.TEXT:
        return Decoder.TEXT
    return _DECODERS.get(kind, Decoder.TEXT)


def is_selected_as_it_is(column: Column, native: NativeColumn) -> bool:
    """Whether a statement that gives the column unchanged gives what the decoder expects."""
    is_renamed = column.origin is not None
    return not is_renamed and _masked(column, native) is None and _computed(column, native) is None


def expression(column: Column, native: NativeColumn) -> str:
    """Return what stands for a planned column in the SELECT list."""
    name, plain = DIALECT.identifier(column.name), DIALECT.identifier(column.source_name)
    chosen = _masked(column, native) or _computed(column, native) or plain
    return plain if chosen == name else f"{chosen} AS {name}"


def _masked(column: Column, native: NativeColumn) -> str | None:
    name = DIALECT.identifier(column.source_name)
    match column.mask:
        case None:
            return None
        case Mask.NULL:
            return "NULL"
        case Mask.REDACT:
            return f"IF({name} IS NULL, NULL, '{REDACTED}')"
        case Mask.HASH:
            text = utc_text(name) if native.is_shifted else _hashed(column.native_code, name)
            hashed = f"SHA2({text}, 256)"
            return checked(name, hashed) if native.has_gaps else hashed


def utc_text(name: str) -> str:
    """Return a TIMESTAMP as text in UTC, whatever zone the session is in and in its doubled hour.

    The number zero stands for the zero date only.
    """
    seconds = f"UNIX_TIMESTAMP({name})"
    # A DATETIME, and no text: MySQL would leave a fraction of zeros out.
    moment = f"DATE_ADD(TIMESTAMP'1970-01-01 00:00:00', INTERVAL {seconds} SECOND)"
    return f"IF({seconds} = 0, CAST({name} AS CHAR), CAST({moment} AS CHAR))"


def _hashed(code: int, name: str) -> str:
    """Return what is hashed: bytes as they are, everything else as the server's text in UTF-8."""
    if code in {types.BYTES, types.GEOMETRY, types.VECTOR}:
        return name
    if code == types.BIT:
        return f"CAST({name} + 0 AS CHAR)"
    if code == types.FLOAT:
        return f"CAST({name} * 1e0 AS CHAR)"
    if code in {types.TEXT, types.ENUM, types.SET, types.JSON}:
        return f"CONVERT({name} USING utf8mb4)"
    return f"CAST({name} AS CHAR)"


def _computed(column: Column, native: NativeColumn) -> str | None:
    """Return the expression of a column whose own text is not what is wanted.

    The text of a FLOAT has six digits, fewer than the value; that of its double has all.
    """
    name = DIALECT.identifier(column.source_name)
    kind = column.logical.kind
    if column.native_code == types.FLOAT:
        return f"({name} * 1e0)"
    if native.is_shifted:
        return utc_text(name)
    if kind is Kind.BINARY and column.native_code in _ANY_TEXT:
        return own_bytes(name)
    if native.has_gaps:
        return checked(name)
    if kind is Kind.STRING and column.native_code == types.GEOMETRY:
        return f"ST_AsText({name})"
    return None
