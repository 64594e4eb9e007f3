"""Declared types as logical types.

SQLite lets any value stand in any column; the declared type is only a promise. It decides the
column's type here, `values.py` holds every value to it, and data never decides anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rivet.errors import UnsafeTypeError
from rivet.model import types as logical
from rivet.model.columns import Column, ColumnRules
from rivet.model.types import Fidelity, InvalidPolicy, Kind, LogicalType
from rivet.sources.columns import choose_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

IS_OVERRIDDEN: Final = 1
HAS_OWN_POLICY: Final = 2

UNTYPED: Final = "untyped"

_INTEGER = re.compile(r"\b(?:tiny|small|medium|big)?int(?:eger)?[1248]?\b|\b(?:small|big)?serial\b")
_STRING = re.compile(r"char|clob|text|string")
_FLOAT = re.compile(r"real|floa|doub")
_DECIMAL_NAMES: Final = frozenset({"decimal", "numeric", "dec", "number"})
_NAMED: Final[dict[str, LogicalType]] = {
    "bool": logical.BOOL,
    "boolean": logical.BOOL,
    "date": logical.DATE,
    "datetime": logical.TIMESTAMP,
    "timestamp": logical.TIMESTAMP,
    "timestamp without time zone": logical.TIMESTAMP,
    "timestamptz": logical.TIMESTAMP_TZ,
    "timestamp with time zone": logical.TIMESTAMP_TZ,
    "time": logical.TIME,
    "time without time zone": logical.TIME,
    "json": logical.JSON,
    "uuid": logical.UUID,
    "guid": logical.UUID,
    "uniqueidentifier": logical.UUID,
}
_TEMPORAL: Final = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP})


@dataclass(frozen=True, slots=True)
class Declared:
    """One column as SQLite's catalog has it; `type` is empty for an expression."""

    name: str
    type: str
    is_nullable: bool = True
    key_ordinal: int = 0


@dataclass(frozen=True, slots=True)
class _Mapping:
    logical: LogicalType
    fidelity: Fidelity
    note: str | None = None


def map_declared(declared: str, unbounded_numeric: LogicalType | None = None) -> _Mapping:
    """Map a declared type, in any letter case.

    Known names come first; then the part of SQLite's affinity rules that is safe to trust: names
    with CHAR, CLOB or TEXT are text, with BLOB binary, with REAL, FLOA or DOUB floats. A whole
    word such as INT or BIGINT is an integer, but POINT or INTERVAL, integers to SQLite only
    because the letters INT are in them, are not.

    Args:
        declared: As written in the table, such as `decimal(10, 2)`; empty for none.
        unbounded_numeric: What NUMERIC without precision becomes; None is exact text.

    Source:
        SQLite manual, "Datatypes In SQLite", 3.1 Determination Of Column Affinity.
    """
    head, parenthesis, tail = declared.partition("(")
    args, closing, rest = tail.partition(")")
    if ")" in head or (parenthesis and not closing):
        return _text(f"SQLite gives the declared type {declared} no meaning")
    name = " ".join(f"{head} {rest}".lower().split())
    if not name:
        return _text("no declared type: name one in columns: for another type than text")
    if found := _NAMED.get(name):
        return _exact(found)
    if name in _DECIMAL_NAMES:
        return _decimal(args.strip() if parenthesis else None, unbounded_numeric)
    return _by_affinity(name) or _text(f"declared type {declared} is unknown")


def _by_affinity(name: str) -> _Mapping | None:
    if _INTEGER.search(name):
        return _exact(logical.INT64)
    if _STRING.search(name):
        return _exact(logical.STRING)
    if "blob" in name or name in {"bytea", "binary", "varbinary"}:
        return _exact(logical.BINARY)
    if _FLOAT.search(name):
        return _exact(logical.FLOAT64)
    return None


def _decimal(args: str | None, unbounded: LogicalType | None) -> _Mapping:
    if args is None:
        return _exact(unbounded) if unbounded else _text("no precision declared")
    numbers = [int(part) for part in args.replace(" ", "").split(",") if part.isdigit()]
    try:
        precision, scale = (*numbers, 0)[:2]
        return _exact(logical.decimal(precision, scale))
    except (UnsafeTypeError, ValueError):
        return _text(f"precision and scale ({args}) fit no decimal")


def _exact(found: LogicalType) -> _Mapping:
    is_json = found.kind is Kind.JSON
    return _Mapping(found, Fidelity.LOGICAL_STRING if is_json else Fidelity.EXACT)


def _text(note: str) -> _Mapping:
    return _Mapping(logical.STRING, Fidelity.TEXT, note)


def describe(declared: Sequence[Declared], rules: ColumnRules) -> tuple[Column, ...]:
    """Apply the user's rules to the columns of a relation; raises as `choose_columns`."""
    return choose_columns(declared, rules, lambda one: _column(one, rules))


def _column(one: Declared, rules: ColumnRules) -> Column:
    mapping = map_declared(one.type, rules.unbounded_numeric)
    override = rules.overrides.get(one.name)
    code = 0
    if override is not None:
        code |= IS_OVERRIDDEN
        if override != mapping.logical:
            is_text = override.kind is Kind.STRING
            mapping = (
                replace(_exact(override), fidelity=Fidelity.TEXT) if is_text else _exact(override)
            )
    own = rules.invalid_overrides.get(one.name)
    policy = own or _policy(mapping.logical.kind, rules)
    if policy is InvalidPolicy.TEXT:
        mapping = _text("the policy for invalid values is text")
        code |= IS_OVERRIDDEN
    if own is not None:
        code |= HAS_OWN_POLICY
    return Column(
        name=one.name,
        native_type=one.type or UNTYPED,
        logical=mapping.logical,
        fidelity=mapping.fidelity,
        native_code=code,
        nullable=one.is_nullable,
        invalid=policy,
        notes=(mapping.note,) if mapping.note else (),
    )


def _policy(kind: Kind, rules: ColumnRules) -> InvalidPolicy:
    if kind is Kind.DECIMAL:
        return rules.non_finite
    if kind in _TEMPORAL and rules.out_of_range is not None:
        return rules.out_of_range
    return InvalidPolicy.FAIL
