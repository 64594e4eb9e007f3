"""Columns of a relation and the rules that decide their types."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rivet.model.types import Fidelity, InvalidPolicy, JsonPolicy, LogicalType

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mask(StrEnum):
    """What stands in the file instead of a column's values."""

    HASH = "hash"
    NULL = "null"
    REDACT = "redact"


REDACTED: Final = "***"
"""The text that a `redact` mask leaves of every value that is not NULL."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it will stand in every part of an export.

    Attributes:
        name: Its name in the file.
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
        origin: Its name in the source where that is another than in the file.
        mask: What replaces its values, done in the SELECT: `hash` and `redact` make it a string.
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
    origin: str | None = None
    mask: Mask | None = None

    @property
    def source_name(self) -> str:
        """Its name in the source."""
        return self.name if self.origin is None else self.origin


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """What the user said about columns; engines apply it when they describe a relation.

    Every name is the one in the source, in exact letters, whatever the column is renamed to.

    Attributes:
        include: The only columns that are read, in the order of the source; None is all.
        exclude: Columns that are not read.
        renames: Column name to its name in the file.
        masks: Column name to what replaces its values.
        overrides: Column name to the wanted type.
        invalid_overrides: Column name to its own policy for values that do not fit.
        unbounded_numeric: The type of `numeric` without precision; None is exact text.
        non_finite: NaN and infinities in decimals.
        out_of_range: Temporal values outside what the file can hold; None is the engine's default.
        tinyint1_is_bool: MySQL's `tinyint(1)` is a bool, in which other values than 0 and 1 fail.
        json: JSON columns whose database takes values that are no JSON by RFC 8259, or that
            readers refuse.
        is_json_labelled: The file says which columns are JSON, and its readers refuse others.
        is_strict: A column that only has a text form is an error.
        is_lenient: A type for a column that is not there is passed over: whoever set it is told.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, Mask] = field(default_factory=dict)
    overrides: Mapping[str, LogicalType] = field(default_factory=dict)
    invalid_overrides: Mapping[str, InvalidPolicy] = field(default_factory=dict)
    unbounded_numeric: LogicalType | None = None
    non_finite: InvalidPolicy = InvalidPolicy.FAIL
    out_of_range: InvalidPolicy | None = None
    tinyint1_is_bool: bool = True
    json: JsonPolicy = JsonPolicy.JSON
    is_json_labelled: bool = True
    is_strict: bool = False
    is_lenient: bool = False

    @property
    def takes_all(self) -> bool:
        """Whether every column of the relation is read, and a new one would be."""
        return self.include is None and not self.exclude
