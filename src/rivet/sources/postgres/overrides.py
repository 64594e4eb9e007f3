"""The `columns:` overrides PostgreSQL can do exactly, and how each column is selected.

An override is done by a cast that keeps every value or fails, or by the decoder, which checks each
value. A cast that rounds, cuts or guesses is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rivet.model.columns import Mask
from rivet.model.types import Fidelity, InvalidPolicy, Kind, LogicalType, Unit
from rivet.redact import visible
from rivet.sources.columns import choose_columns
from rivet.sources.postgres import types
from rivet.sources.postgres.types import map_column, policy_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.model.columns import Column, ColumnRules
    from rivet.sources.postgres.catalog import NativeColumn
    from rivet.sources.postgres.nativetypes import NativeType

_INTEGERS: Final = frozenset({types.INT2, types.INT4, types.INT8})
_TEXTS: Final = frozenset({types.TEXT, types.VARCHAR, types.BPCHAR, types.NAME})
_WIRE_TEXT: Final = _TEXTS | {types.JSON}

_SUPPORTED: Final[tuple[tuple[frozenset[int], frozenset[Kind]], ...]] = (
    (_INTEGERS, frozenset({Kind.INT16, Kind.INT32, Kind.INT64, Kind.DECIMAL})),
    (frozenset({types.INT2, types.INT4, types.FLOAT4, types.FLOAT8}), frozenset({Kind.FLOAT64})),
    (frozenset({types.OID}), frozenset({Kind.INT64})),
    (frozenset({types.FLOAT4}), frozenset({Kind.FLOAT32})),
    (frozenset({types.NUMERIC, types.MONEY}), frozenset({Kind.DECIMAL})),
    (_TEXTS | {types.JSON, types.JSONB}, frozenset({Kind.JSON})),
    (frozenset({types.BOOL}), frozenset({Kind.BOOL})),
    (_TEXTS | {types.BYTEA}, frozenset({Kind.BINARY})),
    (frozenset({types.UUID}), frozenset({Kind.UUID})),
    (frozenset({types.DATE}), frozenset({Kind.DATE})),
    (frozenset({types.TIME}), frozenset({Kind.TIME})),
    (frozenset({types.DATE, types.TIMESTAMP, types.TIMESTAMPTZ}), frozenset({Kind.TIMESTAMP})),
)

# The type a kind is decoded from, and the codes that already have that form on the wire.
_FORMS: Final[dict[Kind, tuple[str, int, frozenset[int]]]] = {
    Kind.BOOL: ("bool", types.BOOL, frozenset()),
    Kind.INT16: ("int2", types.INT2, frozenset()),
    Kind.INT32: ("int4", types.INT4, frozenset()),
    Kind.INT64: ("int8", types.INT8, frozenset({types.OID})),
    Kind.FLOAT32: ("float4", types.FLOAT4, frozenset()),
    Kind.FLOAT64: ("float8", types.FLOAT8, frozenset()),
    Kind.DECIMAL: ("numeric", types.NUMERIC, frozenset()),
    Kind.DATE: ("date", types.DATE, frozenset()),
    Kind.TIME: ("time", types.TIME, frozenset()),
    Kind.BINARY: ("bytea", types.BYTEA, frozenset()),
    Kind.UUID: ("uuid", types.UUID, frozenset()),
    Kind.INTERVAL: ("interval", types.INTERVAL, frozenset()),
    Kind.JSON: ("json", types.JSON, frozenset({types.JSONB, *_TEXTS})),
    Kind.STRING: ("text", types.TEXT, _WIRE_TEXT),
    Kind.GEOMETRY: ("wkb", types.BYTEA, frozenset()),
}
_NANO_NOTE: Final = "values outside 1677-09-21 to 2262-04-11 do not fit"
_EWKB_NOTE: Final = "EWKB, which holds the number of the spatial reference system"
_ENUM_FORM: Final = (None, types.TEXT)


@dataclass(frozen=True, slots=True)
class WireForm:
    """How a column is selected and what then stands on the wire.

    Attributes:
        cast: SQL type to turn it into; None selects the column as it is. `text` and `text[]` are
            the database's own text, `wkb` and `wkb[]` what PostGIS makes of it, see `printed`.
        code: OID of the type on the wire; of the element for an array.
        is_array: Arrays of that type.
    """

    cast: str | None
    code: int
    is_array: bool = False


def wire_form(column: Column) -> WireForm:
    """Return how a planned column is selected; a function of the column alone."""
    if column.mask in {Mask.HASH, Mask.REDACT}:
        return WireForm("text", types.TEXT)
    if column.logical.kind is Kind.LIST and column.logical.element is not None:
        if column.is_text_cast:
            return WireForm("text[]", types.TEXT, is_array=True)
        cast, code = _form(column.native_code, column.logical.element)
        return WireForm(f"{cast}[]" if cast else None, code, is_array=True)
    if column.is_text_cast:
        return WireForm("text", types.TEXT)
    return WireForm(*_form(column.native_code, column.logical))


def is_unproven_json(column: Column) -> bool:
    """Return whether a column is labelled JSON, of a type that may hold other text."""
    value = column.logical.element or column.logical
    return column.native_code == types.JSON and value.kind is Kind.JSON and column.mask is None


def _form(code: int, logical: LogicalType) -> tuple[str | None, int]:
    if logical.kind is Kind.ENUM or (logical.kind is Kind.STRING and code not in types.PLAIN):
        return _ENUM_FORM
    if logical.kind is Kind.TIMESTAMP:
        cast, wire = (
            ("timestamptz", types.TIMESTAMPTZ) if logical.is_utc else ("timestamp", types.TIMESTAMP)
        )
        return (None if code == wire else cast), wire
    cast, wire, same = _FORMS[logical.kind]
    if logical.kind is Kind.BINARY and code >= types.FIRST_OF_OTHERS:
        # What PostGIS sends of its types is the EWKB that is wanted.
        return None, types.BYTEA
    if code == wire or code in same:
        return None, code
    return cast, wire


def plan_columns(
    natives: Iterable[NativeColumn], rules: ColumnRules, no_json: frozenset[str] = frozenset()
) -> tuple[Column, ...]:
    """Return the columns of an export under the user's rules; raises as `choose_columns`.

    Args:
        natives: Every column of the relation.
        rules: What the user said.
        no_json: Columns of JSON that were found to hold other text.
    """

    def decide(native: NativeColumn) -> Column | str:
        column = map_column(native, rules, is_json=native.name not in no_json)
        wanted = rules.overrides.get(native.name)
        if wanted is None:
            return column
        return _overridden(native, column, wanted, rules) or _refusal(native, column, wanted)

    return choose_columns(natives, rules, decide)


def _overridden(
    native: NativeColumn, column: Column, wanted: LogicalType, rules: ColumnRules
) -> Column | None:
    """Return the column with the wanted type; None where that cannot be done exactly."""
    if wanted == column.logical:
        return column
    if wanted.kind is Kind.STRING:
        return _text_override(native, column)
    if wanted.kind not in _kinds(native.type):
        return None
    invalid = policy_of(native, rules)
    if invalid is InvalidPolicy.TEXT:
        invalid = InvalidPolicy.FAIL
    notes, fidelity = _remarks(native.type, wanted)
    return replace(
        column,
        logical=wanted,
        fidelity=fidelity,
        is_text_cast=False,
        invalid=invalid,
        notes=(*notes, "type set by an override"),
    )


def _text_override(native: NativeColumn, column: Column) -> Column:
    """Turn a column to text: as it stands where the wire form is text already, else printed."""
    kind = native.type
    is_text_already = not kind.is_array and (kind.code in _WIRE_TEXT or kind.type_kind == "e")
    return replace(
        column,
        logical=LogicalType(Kind.STRING),
        fidelity=Fidelity.EXACT if is_text_already else Fidelity.TEXT,
        is_text_cast=not is_text_already,
        invalid=InvalidPolicy.FAIL,
        notes=("type set by an override",),
    )


def _kinds(native: NativeType) -> set[Kind]:
    """Return the kinds that a type can be turned into, besides text."""
    if native.is_array:
        return set()
    if native.postgis is not None:
        return {Kind.BINARY}
    return {kind for codes, some in _SUPPORTED if native.code in codes for kind in some}


def _remarks(native: NativeType, wanted: LogicalType) -> tuple[tuple[str, ...], Fidelity]:
    code = native.code
    if wanted.kind is Kind.JSON:
        return (), Fidelity.LOGICAL_STRING
    note = None
    if native.postgis is not None:
        note = _EWKB_NOTE
    elif wanted.kind is Kind.BINARY and code != types.BYTEA:
        note = "the bytes of the text in the encoding of the database"
    elif code == types.TIMESTAMP and wanted.is_utc:
        note = "the wall-clock reading is taken as UTC"
    elif code == types.DATE and wanted.is_utc:
        note = "midnight is taken as UTC"
    elif code == types.TIMESTAMPTZ and not wanted.is_utc:
        note = "the instant is written as its UTC wall-clock reading"
    if note is not None:
        return (note,), Fidelity.COMPATIBLE
    is_nano = wanted.unit is Unit.NANOSECOND
    return ((_NANO_NOTE,) if is_nano else ()), Fidelity.EXACT


def _refusal(native: NativeColumn, column: Column, wanted: LogicalType) -> str:
    listed = ", ".join(["text", *sorted(kind.value for kind in _kinds(native.type))])
    name = visible(native.name)
    return f"'{name}' from {column.native_type} to {wanted} (supported: {listed})"
