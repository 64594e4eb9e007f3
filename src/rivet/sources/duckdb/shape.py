"""Arrow arrays as DuckDB gives them, as the planned columns want them; no object per value.

A value that its column cannot hold is refused with its row, or becomes NULL and is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from rivet.errors import FormatError
from rivet.model.arrow import arrow_type
from rivet.model.types import InvalidPolicy, Kind, Unit
from rivet.redact import visible
from rivet.sources.decimals import decimals_of_texts
from rivet.wire.assemble import first_refused

if TYPE_CHECKING:
    from rivet.model.columns import Column

__all__ = ["Shaper"]

_INT64_MAX: Final = 2**63 - 1
_INT32_MAX: Final = 2**31 - 1
_DAY: Final = {Unit.MICROSECOND: 86_400_000_000, Unit.NANOSECOND: 86_400_000_000_000}
_RANGED: Final = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP})
_SIZED: Final = frozenset(
    {Kind.STRING, Kind.JSON, Kind.BINARY, Kind.ENUM, Kind.INTERVAL, Kind.GEOMETRY}
)
_AS_TEXT: Final = "read the column as text: add it to `columns:` with the type `text`"


class Shaper:
    """Shapes the arrays of one column and counts what became NULL.

    Args:
        column: The planned column.
        max_value_bytes: The largest text or bytes; 0 is no limit.
    """

    def __init__(self, column: Column, max_value_bytes: int) -> None:
        self._column = column
        self._max_value_bytes = max_value_bytes
        self._type = arrow_type(column.logical)
        self.nulled = 0

    def shape(self, array: pa.Array, first_row: int) -> pa.Array:
        """Return the array in the column's own type.

        Args:
            array: As DuckDB gave it.
            first_row: One-based number of its first row in the read.

        Raises:
            FormatError: A value does not fit, naming the column and the row.
        """
        kind = self._column.logical.kind
        if kind in _SIZED and self._max_value_bytes:
            self._refuse_large(array, first_row)
        if kind in _RANGED:
            array = self._in_range(array, first_row)
        return self._fitted(array, first_row)

    def _cast(self, array: pa.Array) -> pa.Array:
        wanted = self._type
        if array.type.equals(wanted):
            return array
        if isinstance(wanted, pa.BaseExtensionType):
            storage = array.storage if isinstance(array, pa.ExtensionArray) else array
            return pa.ExtensionArray.from_storage(wanted, storage.cast(wanted.storage_type))
        if pa.types.is_list(array.type) and pa.types.is_list(wanted):
            # Only the name of the element differs: the buffers are the same.
            _, offsets = array.buffers()[:2]
            values = array.values.cast(wanted.value_type)
            return pa.Array.from_buffers(
                wanted,
                len(array),
                [array.buffers()[0], offsets],
                array.null_count,
                array.offset,
                [values],
            )
        if pa.types.is_decimal(wanted) and pa.types.is_string(array.type):
            return decimals_of_texts(array, wanted)
        return array.cast(wanted)

    def _in_range(self, array: pa.Array, first_row: int) -> pa.Array:
        """Judge infinities, and 24:00:00, by the column's policy."""
        logical = self._column.logical
        if pa.types.is_date32(array.type):
            numbers, limit = array.view(pa.int32()), _INT32_MAX
        else:
            numbers, limit = array.view(pa.int64()), _INT64_MAX
        if logical.kind is Kind.TIME:
            limit = _DAY[logical.unit or Unit.MICROSECOND]
        bad = pc.or_(pc.greater_equal(numbers, limit), pc.less_equal(numbers, -limit))
        bad = pc.fill_null(bad, fill_value=False)
        if not pc.any(bad).as_py():
            return array
        if self._column.invalid is not InvalidPolicy.NULL:
            raise self._refusal(
                first_row + pc.index(bad, True).as_py(),
                "holds a date, time or infinity that its type in the file cannot hold",
                "set the column's policy for such values to `null`, or " + _AS_TEXT,
                "RIVET_FORMAT_OUT_OF_RANGE",
            )
        self.nulled += pc.sum(bad).as_py()
        return pc.if_else(bad, pa.scalar(None, array.type), array)

    def _refuse_large(self, array: pa.Array, first_row: int) -> None:
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        if storage.nbytes <= self._max_value_bytes:
            return
        lengths = pc.fill_null(pc.binary_length(storage), 0)
        large = pc.greater(lengths, self._max_value_bytes)
        if pc.any(large).as_py():
            raise self._refusal(
                first_row + pc.index(large, True).as_py(),
                f"holds a value larger than the limit of {self._max_value_bytes} bytes",
                "raise the limit for one value, or leave the column out",
                "RIVET_VALUE_TOO_LARGE",
            )

    def _fitted(self, array: pa.Array, first_row: int) -> pa.Array:
        """Cast an array; where that fails, name the first row that makes it fail."""
        try:
            return self._cast(array)
        except pa.ArrowInvalid:
            row = first_row + first_refused(array, self._cast)
        # Outside the handler: Arrow's own message quotes the value, so nothing chains to it.
        raise self._refusal(
            row,
            f"holds a value that does not fit {self._column.logical.label}",
            "give the column a wider type in `columns:`, or " + _AS_TEXT,
            "RIVET_FORMAT_VALUE",
        )

    def _refusal(self, row: int, what: str, hint: str, code: str) -> FormatError:
        name = self._column.name
        msg = f"column '{visible(name)}', row {row}: {what}"
        return FormatError(msg, hint=hint, code=code, column=name, row=str(row))
