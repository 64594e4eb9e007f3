"""PostgreSQL's types as Rivet's: one table, and the policies that may turn a column to text.

Decides from the catalog and the rules alone, never from data, and never talks to a server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rivet.model import types as logical
from rivet.model.columns import Column
from rivet.model.types import (
    MAX_DECIMAL_PRECISION,
    Fidelity,
    InvalidPolicy,
    JsonPolicy,
    Kind,
    LogicalType,
    list_of,
)

if TYPE_CHECKING:
    from rivet.model.columns import ColumnRules
    from rivet.sources.postgres.catalog import NativeColumn
    from rivet.sources.postgres.nativetypes import NativeType

BOOL, BYTEA, NAME, INT8, INT2, INT4, TEXT, OID = 16, 17, 19, 20, 21, 23, 25, 26
JSON, FLOAT4, FLOAT8, MONEY, INET, BPCHAR, VARCHAR = 114, 700, 701, 790, 869, 1042, 1043
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL = 1082, 1083, 1114, 1184, 1186
NUMERIC, UUID, JSONB = 1700, 2950, 3802
FIRST_OF_OTHERS: Final = 10_000  # OIDs below are the same on every server

PLAIN: Final[dict[int, tuple[LogicalType, Fidelity]]] = {
    BOOL: (logical.BOOL, Fidelity.EXACT),
    INT2: (logical.INT16, Fidelity.EXACT),
    INT4: (logical.INT32, Fidelity.EXACT),
    INT8: (logical.INT64, Fidelity.EXACT),
    OID: (logical.INT64, Fidelity.EXACT),
    FLOAT4: (logical.FLOAT32, Fidelity.EXACT),
    FLOAT8: (logical.FLOAT64, Fidelity.EXACT),
    DATE: (logical.DATE, Fidelity.EXACT),
    TIME: (logical.TIME, Fidelity.EXACT),
    TIMESTAMP: (logical.TIMESTAMP, Fidelity.EXACT),
    TIMESTAMPTZ: (logical.TIMESTAMP_TZ, Fidelity.EXACT),
    TEXT: (logical.STRING, Fidelity.EXACT),
    VARCHAR: (logical.STRING, Fidelity.EXACT),
    BPCHAR: (logical.STRING, Fidelity.EXACT),
    NAME: (logical.STRING, Fidelity.EXACT),
    BYTEA: (logical.BINARY, Fidelity.EXACT),
    UUID: (logical.UUID, Fidelity.EXACT),
    JSON: (logical.JSON, Fidelity.LOGICAL_STRING),
    JSONB: (logical.JSON, Fidelity.LOGICAL_STRING),
    INTERVAL: (logical.INTERVAL, Fidelity.COMPATIBLE),
}
_RANGED: Final = frozenset({DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL})
_TEXT_BY_NAME: Final = frozenset({"citext"})
HALF_PAIR_NOTE: Final = "a value is no JSON by RFC 8259 (half of a surrogate pair)"
_SRID_NOTE: Final = "WKB; the number of the spatial reference system is not kept (`binary` has it)"
_MONEY_NOTE: Final = "the text follows the server's lc_monetary"
_UNBOUNDED_NOTE: Final = (
    "numeric without precision is kept as exact text; set types.unbounded_numeric or an override "
    "to decimal(p,s)"
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """What one native type becomes, for a column or for the elements of a list."""

    logical: LogicalType
    fidelity: Fidelity
    is_text_cast: bool = False
    notes: tuple[str, ...] = ()


def map_column(native: NativeColumn, rules: ColumnRules, *, is_json: bool = True) -> Column:
    """Return the column without its override: the natural mapping under the policies.

    Args:
        native: The column.
        rules: The policies.
        is_json: For `json`: no value is known that readers of JSON refuse.
    """
    kind = native.type
    invalid = policy_of(native, rules)
    mapping = _mapping(kind, rules)
    if kind.code == JSON and (rules.json is JsonPolicy.TEXT or not is_json):
        note = "kept as text: " + ("`types: {json: text}`" if is_json else HALF_PAIR_NOTE)
        mapping = Mapping(logical.STRING, Fidelity.EXACT, notes=(note,))
    is_checked = kind.code in _RANGED or mapping.logical.kind is Kind.DECIMAL
    if is_checked and invalid is InvalidPolicy.TEXT:
        note = "a `text` policy keeps the whole column as text"
        mapping = _as_text(notes=(note,))
    if kind.code == INTERVAL and _chosen_policy(native, rules) is None:
        invalid = InvalidPolicy.TEXT  # the form in the file has words for infinities
    return _column(native, mapping, invalid if is_checked else InvalidPolicy.FAIL)


def _column(native: NativeColumn, mapping: Mapping, invalid: InvalidPolicy) -> Column:
    kind = native.type
    if kind.is_array:
        mapping = replace(
            mapping,
            logical=list_of(mapping.logical),
            fidelity=Fidelity.TEXT if mapping.is_text_cast else Fidelity.COMPATIBLE,
        )
    return Column(
        name=native.name,
        native_type=kind.spelling,
        logical=mapping.logical,
        fidelity=mapping.fidelity,
        native_code=kind.code,
        is_text_cast=mapping.is_text_cast,
        nullable=native.nullable,
        invalid=InvalidPolicy.FAIL if mapping.is_text_cast else invalid,
        notes=mapping.notes,
    )


def policy_of(native: NativeColumn, rules: ColumnRules) -> InvalidPolicy:
    """Return what becomes of a value that does not fit; the column's own policy comes first."""
    own = _chosen_policy(native, rules)
    if own is not None:
        return own
    if native.type.code in _RANGED:
        return InvalidPolicy.FAIL
    return rules.non_finite


def _chosen_policy(native: NativeColumn, rules: ColumnRules) -> InvalidPolicy | None:
    own = rules.invalid_overrides.get(native.name)
    return own or (rules.out_of_range if native.type.code in _RANGED else None)


def _mapping(native: NativeType, rules: ColumnRules) -> Mapping:
    if found := PLAIN.get(native.code):
        return Mapping(*found)
    if native.code == NUMERIC:
        return _numeric(native.modifier, rules)
    if native.type_kind == "e":
        return Mapping(logical.ENUM, Fidelity.COMPATIBLE)
    if native.postgis is not None:
        return Mapping(logical.GEOMETRY, Fidelity.COMPATIBLE, notes=(_SRID_NOTE,))
    if native.name in _TEXT_BY_NAME:
        return Mapping(logical.STRING, Fidelity.EXACT, is_text_cast=True)
    return _as_text(notes=(_MONEY_NOTE,) if native.code == MONEY else ())


def _as_text(notes: tuple[str, ...] = ()) -> Mapping:
    return Mapping(logical.STRING, Fidelity.TEXT, is_text_cast=True, notes=notes)


def _numeric(modifier: int, rules: ColumnRules) -> Mapping:
    """Map a numeric by its declared digits.

    A scale below zero or above the precision (PostgreSQL 15) is held by a wider decimal.
    """
    declared = numeric_digits(modifier)
    if declared is None:
        if rules.unbounded_numeric is None:
            return _as_text(notes=(_UNBOUNDED_NOTE,))
        note = f"each value is checked to fit {rules.unbounded_numeric}"
        return Mapping(rules.unbounded_numeric, Fidelity.EXACT, notes=(note,))
    precision, scale = declared
    wide_scale = max(scale, 0)
    wide_precision = max(precision - min(scale, 0), wide_scale)
    if wide_precision > MAX_DECIMAL_PRECISION:
        note = f"more than {MAX_DECIMAL_PRECISION} digits fit no decimal type"
        return _as_text(notes=(note,))
    return Mapping(logical.decimal(wide_precision, wide_scale), Fidelity.EXACT)


def numeric_digits(modifier: int) -> tuple[int, int] | None:
    """Return precision and scale of a numeric's type modifier; None without one.

    Source:
        PostgreSQL, `src/backend/utils/adt/numeric.c`: 11 bits of signed scale, since version 15.
    """
    if modifier < 4:  # noqa: PLR2004 - the size of a varlena header, below which it is unset
        return None
    packed = modifier - 4
    return (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 0x400) - 0x400
