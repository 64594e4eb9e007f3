"""DuckDB's types as Rivet's: what each becomes, and how it is selected so that nothing is lost.

DuckDB's Arrow stream is exact for most types. The others are cast in the SELECT: to a type that
holds every value, or to DuckDB's own text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rivet.model import types as logical
from rivet.model.columns import REDACTED, Column, Mask
from rivet.model.types import Fidelity, InvalidPolicy, Kind, LogicalType, Unit, list_of
from rivet.redact import visible
from rivet.sources.columns import choose_columns
from rivet.sources.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rivet.model.columns import ColumnRules

DIALECT: Final = Dialect(has_dollar_quotes=True, has_escape_strings=True)

_TIME_NS: Final = LogicalType(Kind.TIME, unit=Unit.NANOSECOND)
_HUGE: Final = logical.decimal(38, 0)
_HUGE_NAMES: Final = frozenset({"HUGEINT", "UHUGEINT"})
_DECIMAL: Final = re.compile(r"^DECIMAL\((\d+),\s*(\d+)\)$")
_LIST: Final = re.compile(r"^(.*)\[\d*\]$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """One column as DuckDB describes it: its name and the spelling of its type."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    """What a native type becomes.

    Attributes:
        logical: The type.
        fidelity: How faithful it is.
        cast: The SQL type it is selected as; None selects it as it is.
    """

    logical: LogicalType
    fidelity: Fidelity = Fidelity.EXACT
    cast: str | None = None


_TEXT: Final = Form(logical.STRING, Fidelity.TEXT, "VARCHAR")
_PLAIN: Final[dict[str, Form]] = {
    "boolean": Form(logical.BOOL),
    "tinyint": Form(logical.INT16, cast="SMALLINT"),
    "utinyint": Form(logical.INT16, cast="SMALLINT"),
    "smallint": Form(logical.INT16),
    "usmallint": Form(logical.INT32, cast="INTEGER"),
    "integer": Form(logical.INT32),
    "uinteger": Form(logical.INT64, cast="BIGINT"),
    "bigint": Form(logical.INT64),
    "ubigint": Form(logical.UINT64),
    # A number of 39 digits fits no decimal that every reader reads, and is refused by its row. All
    # travel as text: DuckDB would hand them over as decimals of 38 digits, fitting or not.
    "hugeint": Form(_HUGE, cast="VARCHAR"),
    "uhugeint": Form(_HUGE, cast="VARCHAR"),
    "float": Form(logical.FLOAT32),
    "double": Form(logical.FLOAT64),
    "varchar": Form(logical.STRING),
    "blob": Form(logical.BINARY),
    "date": Form(logical.DATE),
    "time": Form(logical.TIME),
    "time_ns": Form(_TIME_NS),
    "timestamp": Form(logical.TIMESTAMP),
    "timestamp_s": Form(logical.TIMESTAMP, cast="TIMESTAMP"),
    "timestamp_ms": Form(logical.TIMESTAMP, cast="TIMESTAMP"),
    "timestamp_ns": Form(logical.TIMESTAMP_NS),
    "timestamp with time zone": Form(logical.TIMESTAMP_TZ),
    "timestamptz_ns": Form(logical.TIMESTAMP_TZ_NS),
    "uuid": Form(logical.UUID),
    "json": Form(logical.JSON, Fidelity.LOGICAL_STRING, "VARCHAR"),
    "interval": Form(logical.INTERVAL, Fidelity.COMPATIBLE),
    "geometry": Form(logical.GEOMETRY, Fidelity.COMPATIBLE),
    '"null"': Form(logical.STRING, cast="VARCHAR"),
}
_RANGED: Final = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP})
# Elements of a list that come out of the Arrow stream as they are, or after a cast of the list.
_ELEMENTS: Final = frozenset(
    {Kind.BOOL, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT64, Kind.FLOAT32, Kind.FLOAT64}
    | {Kind.DECIMAL, Kind.STRING, Kind.BINARY, Kind.ENUM}
)
_INTEGERS: Final = frozenset({Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT64})
_CASTS: Final = {
    Kind.BOOL: "BOOLEAN",
    Kind.INT16: "SMALLINT",
    Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT",
    Kind.FLOAT64: "DOUBLE",
    Kind.DATE: "DATE",
    Kind.JSON: "VARCHAR",
    Kind.STRING: "VARCHAR",
    Kind.BINARY: "BLOB",
}


def form_of(native: str) -> Form:
    """Return what a native type becomes; a type without a form of its own is DuckDB's text."""
    if found := _PLAIN.get(native.lower()):
        return found
    if match := _DECIMAL.match(native):
        return Form(logical.decimal(int(match[1]), int(match[2])))
    if native.startswith("ENUM("):
        return Form(logical.ENUM, Fidelity.COMPATIBLE, "VARCHAR")
    if match := _LIST.match(native):
        return _list_form(match[1], is_fixed=not native.endswith("[]"))
    return _TEXT


def _list_form(element: str, *, is_fixed: bool) -> Form:
    form = form_of(element)
    is_huge = element in _HUGE_NAMES
    if form.fidelity is Fidelity.TEXT or form.logical.kind not in _ELEMENTS or is_huge:
        return _TEXT
    cast = f"{form.cast or element}[]" if form.cast or is_fixed else None
    return Form(list_of(form.logical), Fidelity.COMPATIBLE, cast)


def plan_columns(natives: Iterable[NativeColumn], rules: ColumnRules) -> tuple[Column, ...]:
    """Return the columns of an export under the user's rules; raises as `choose_columns`."""

    def decide(native: NativeColumn) -> Column | str:
        column = _map_column(native, rules)
        wanted = rules.overrides.get(native.name)
        if wanted is None or wanted == column.logical:
            return column
        return _overridden(native, column, wanted, rules)

    return choose_columns(natives, rules, decide)


def _map_column(native: NativeColumn, rules: ColumnRules) -> Column:
    form = form_of(native.type)
    invalid = InvalidPolicy.FAIL
    if form.logical.kind in _RANGED:
        invalid = policy_of(native, rules)
    notes: tuple[str, ...] = ()
    if invalid is InvalidPolicy.TEXT:
        form, invalid = _TEXT, InvalidPolicy.FAIL
        notes = ("a `text` policy keeps the whole column as text",)
    return Column(
        name=native.name,
        native_type=native.type,
        logical=form.logical,
        fidelity=form.fidelity,
        is_text_cast=form is _TEXT,
        nullable=native.nullable,
        invalid=invalid,
        notes=notes,
    )


def policy_of(native: NativeColumn, rules: ColumnRules) -> InvalidPolicy:
    """Return what becomes of an infinity; the column's own policy comes first."""
    own = rules.invalid_overrides.get(native.name) or rules.out_of_range
    return own or InvalidPolicy.FAIL


def _overridden(
    native: NativeColumn, column: Column, wanted: LogicalType, rules: ColumnRules
) -> Column | str:
    supported = _supported(native.type)
    if wanted.kind not in supported:
        listed = ", ".join(sorted("text" if k is Kind.STRING else k.value for k in supported))
        name = visible(native.name)
        return f"'{name}' from {visible(native.type)} to {wanted} (supported: {listed})"
    invalid = policy_of(native, rules) if wanted.kind in _RANGED else InvalidPolicy.FAIL
    fidelity = Fidelity.EXACT
    if wanted.kind is Kind.STRING and native.type not in {"VARCHAR", "JSON"}:
        fidelity = Fidelity.TEXT
    elif wanted.kind is Kind.JSON:
        fidelity = Fidelity.LOGICAL_STRING
    elif wanted.kind is Kind.TIMESTAMP and wanted.is_utc != column.logical.is_utc:
        fidelity = Fidelity.COMPATIBLE
    return replace(
        column,
        logical=wanted,
        fidelity=fidelity,
        is_text_cast=wanted.kind is Kind.STRING,
        invalid=InvalidPolicy.FAIL if invalid is InvalidPolicy.TEXT else invalid,
        notes=("type set by an override",),
    )


def _supported(native: str) -> frozenset[Kind]:
    """Return the kinds an override may ask for: those that keep every value or fail."""
    form = form_of(native)
    kind = form.logical.kind
    found = {Kind.STRING}
    if kind in _INTEGERS or native in _HUGE_NAMES:
        found |= {Kind.INT16, Kind.INT32, Kind.INT64, Kind.DECIMAL}
        if native not in {"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"}:
            found.add(Kind.FLOAT64)
    elif kind is Kind.DECIMAL:
        found.add(Kind.DECIMAL)
    elif kind in {Kind.FLOAT32, Kind.FLOAT64}:
        found |= {kind, Kind.FLOAT64}
    elif kind in {Kind.DATE, Kind.TIMESTAMP}:
        found |= {kind, Kind.TIMESTAMP}
    elif native in {"VARCHAR", "JSON"}:
        found |= {Kind.JSON, Kind.UUID} if native == "VARCHAR" else {Kind.JSON}
    else:
        found |= {kind} if kind not in {Kind.STRING, Kind.LIST} else set()
    return frozenset(found)


def expression(column: Column) -> str:
    """Return what stands for a planned column in the SELECT list."""
    name = DIALECT.identifier(column.source_name)
    return (
        f"{_masked(column, name) or _selected(column, name)} AS {DIALECT.identifier(column.name)}"
    )


def _masked(column: Column, name: str) -> str | None:
    if column.mask is Mask.NULL:
        # Of the column's own form, so that the stream's type is what is expected.
        return f"CASE WHEN false THEN {_selected(column, name)} END"
    if column.mask is Mask.REDACT:
        return f"CASE WHEN {name} IS NOT NULL THEN '{REDACTED}' END"
    if column.mask is Mask.HASH:
        hashed = name if column.native_type == "BLOB" else f"{name}::VARCHAR"
        return f"sha256({hashed})"
    return None


def _selected(column: Column, name: str) -> str:
    kind = column.logical.kind
    if kind is Kind.INTERVAL:
        return _interval(name)
    if kind is Kind.UUID:
        return f"unhex(replace({name}::UUID::VARCHAR, '-', ''))"
    cast = _cast_of(column)
    return f"{name}::{cast}" if cast else name


def _cast_of(column: Column) -> str | None:
    kind = column.logical.kind
    form = form_of(column.native_type)
    if column.is_text_cast:
        return "VARCHAR"
    if column.logical == form.logical:
        return form.cast
    if kind is Kind.DECIMAL:
        return "VARCHAR"  # DuckDB's own cast would round
    if kind is Kind.TIMESTAMP:
        return "TIMESTAMP WITH TIME ZONE" if column.logical.is_utc else "TIMESTAMP"
    return _CASTS[kind]


def _interval(name: str) -> str:
    """Return ISO 8601 as PostgreSQL writes it: months, days and time apart, a sign for each."""

    def part(unit: str, letter: str) -> str:
        value = f"datepart('{unit}', {name})"
        return f"CASE WHEN {value} <> 0 THEN {value}::VARCHAR || '{letter}' ELSE '' END"

    months = f"(datepart('year', {name}) * 12 + datepart('month', {name}))"
    # Microseconds of the minute, seconds included.
    micros = f"datepart('microsecond', {name})"
    seconds = (
        f"CASE WHEN {micros} = 0 THEN '' ELSE CASE WHEN {micros} < 0 THEN '-' ELSE '' END"
        f" || (abs({micros}) // 1000000)::VARCHAR || CASE WHEN {micros} % 1000000 = 0 THEN '' ELSE"
        f" '.' || lpad((abs({micros}) % 1000000)::VARCHAR, 6, '0') END || 'S' END"
    )
    date = f"{part('year', 'Y')} || {part('month', 'M')} || {part('day', 'D')}"
    time = f"{part('hour', 'H')} || {part('minute', 'M')} || {seconds}"
    is_zero = f"{months} = 0 AND datepart('day', {name}) = 0 AND ({time}) = ''"
    body = f"'P' || {date} || CASE WHEN ({time}) = '' THEN '' ELSE 'T' || {time} END"
    return f"CASE WHEN {name} IS NULL THEN NULL WHEN {is_zero} THEN 'PT0S' ELSE {body} END"
