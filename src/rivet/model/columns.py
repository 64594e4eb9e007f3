"""Columns of a relation and the rules that decide their types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rivet.model.types import Fidelity, InvalidPolicy, LogicalType

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it will stand in every part of an export.

    Attributes:
        name: Its name in the source and in the file.
        native_type: The engine's name for its type, such as `numeric(10,2)`.
        logical: What it becomes.
        fidelity: How faithful that is.
        native_code: The engine's own number for the native type (a PostgreSQL OID, a MySQL type
            code); engines choose decoders by it, nobody else looks at it.
        is_text_cast: The engine selects the database's own exact text form of the column.
        nullable: Whether the catalog allows NULL; the file's column is nullable either way.
        invalid: What becomes of values the file type cannot hold (NaN in a decimal, infinity in
            a date).
        notes: Remarks for the type report.
    """

    name: str
    native_type: str
    logical: LogicalType
    fidelity: Fidelity
    native_code: int = 0
    is_text_cast: bool = False
    nullable: bool = True
    invalid: InvalidPolicy = InvalidPolicy.FAIL
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TypeRules:
    """What the user said about types; engines apply it when they describe a relation.

    Attributes:
        overrides: Column name (exact) to the wanted type.
        invalid_overrides: Column name to its own policy for values that do not fit.
        unbounded_numeric: The type of `numeric` without precision; None is exact text.
        non_finite: NaN and infinities in decimals.
        out_of_range: Temporal values outside what the file can hold; None is the engine's default.
        is_strict: A column that only has a text form is an error.
    """

    overrides: Mapping[str, LogicalType] = field(default_factory=dict)
    invalid_overrides: Mapping[str, InvalidPolicy] = field(default_factory=dict)
    unbounded_numeric: LogicalType | None = None
    non_finite: InvalidPolicy = InvalidPolicy.FAIL
    out_of_range: InvalidPolicy | None = None
    is_strict: bool = False
