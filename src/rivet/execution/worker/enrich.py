"""Metadata columns: when a row was exported, and a hash of what it says.

They come after the columns of the source, and count neither for drift nor for quality rules.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

import xxhash

from rivet.errors import PlanError

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from rivet.model.output import OutputPlan

EXPORTED_AT: Final = "_rivet_exported_at"
ROW_HASH: Final = "_rivet_row_hash"

_LOW_64: Final = (1 << 64) - 1
_PRESENT: Final = b"\x01"
_MISSING: Final = b"\x00"


class Enricher:
    """Adds the meta columns that an output plan asks for.

    `_rivet_exported_at` is a timestamp in microseconds, UTC, never missing: the start of the run,
    the same in every row.

    `_rivet_row_hash` is a 64-bit integer, never missing: the low half of xxh3-128 over the chosen
    columns in file order, whatever order they were chosen in. A missing value counts as byte 0, any
    other as byte 1, the length of its text in four bytes (little-endian) and its text in UTF-8, as
    `model.arrowtext` spells it; so no two different rows frame to the same bytes. It does not
    depend on the file format or on batch sizes. The recipe is called `manifest.ROW_HASH_RENDER` in
    manifests. It is not the reference program's recipe: hashes of the two must not be compared.

    Args:
        schema: The columns of the source.
        output: What to add.
        exported_at: Aware UTC.

    Raises:
        PlanError: The source has a column of the same name, or a column to hash is not there or
            has no text form.
    """

    def __init__(self, schema: pa.Schema, output: OutputPlan, exported_at: datetime) -> None:
        import pyarrow as pa

        self._exported_at = pa.scalar(exported_at, pa.timestamp("us", tz="UTC"))
        self._adds_time = output.add_exported_at
        self._hashed = None if output.row_hash is None else _places(schema, output.row_hash)
        added = []
        if self._adds_time:
            added.append(pa.field(EXPORTED_AT, self._exported_at.type, nullable=False))
        if self._hashed is not None:
            added.append(pa.field(ROW_HASH, pa.int64(), nullable=False))
        for field in added:
            if field.name in schema.names:
                msg = f"the source already has a column '{field.name}'"
                raise PlanError(
                    msg, hint="turn off that meta column, or rename the column in a `query:`"
                )
            schema = schema.append(field)
        self._schema = schema

    @property
    def schema(self) -> pa.Schema:
        """The schema of the files: the source's columns, then the added ones."""
        return self._schema

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the added columns; the batch itself if none are asked for."""
        import pyarrow as pa

        columns = list(batch.columns)
        if self._adds_time:
            columns.append(pa.repeat(self._exported_at, batch.num_rows))
        if self._hashed is not None:
            columns.append(_row_hashes(batch, self._hashed))
        if len(columns) == batch.num_columns:
            return batch
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _places(schema: pa.Schema, names: tuple[str, ...]) -> tuple[int, ...]:
    from rivet.model.arrowtext import is_renderable

    missing = [name for name in names if name not in schema.names]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        msg = f"the row hash names columns that the export does not have: {listed}"
        raise PlanError(msg, hint=f"columns of the export: {', '.join(schema.names)}")
    places = tuple(place for place, field in enumerate(schema) if not names or field.name in names)
    mute = [schema.field(place).name for place in places]
    mute = [name for name in mute if not is_renderable(schema.field(name).type)]
    if mute:
        listed = ", ".join(f"'{name}'" for name in mute)
        msg = f"the row hash cannot take columns without a text form: {listed}"
        raise PlanError(msg, hint="name the columns to hash in `meta_columns`")
    return places


def _row_hashes(batch: pa.RecordBatch, places: tuple[int, ...]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = batch.num_rows
    if rows == 0:
        return pa.array([], pa.int64())
    framed = [piece for place in places for piece in _frame(batch.column(place))]
    data = pc.binary_join_element_wise(*framed, pa.scalar(b"", pa.large_binary()))
    _, offset_buffer, bytes_buffer = data.buffers()
    offsets = memoryview(offset_buffer).cast("q")
    view = memoryview(bytes_buffer)
    digest = xxhash.xxh3_128_intdigest
    hashes = array("Q", bytes(8 * rows))
    start = offsets[data.offset]
    for row in range(rows):
        stop = offsets[data.offset + row + 1]
        hashes[row] = digest(view[start:stop]) & _LOW_64
        start = stop
    return pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(hashes)])


def _frame(column: pa.Array) -> list[pa.Array]:
    """Return a column as three arrays to be joined row by row: mark, length, text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from rivet.model.arrowtext import text_array

    kind = pa.large_binary()
    text = text_array(column).cast(kind)
    lengths = pc.fill_null(pc.binary_length(text), 0).cast(pa.int32())
    framed_lengths = pa.Array.from_buffers(
        pa.binary(4), len(lengths), [None, lengths.buffers()[1]], offset=lengths.offset
    ).cast(kind)
    nothing = pa.scalar(b"", kind)
    is_present = text.is_valid()
    return [
        pc.if_else(is_present, pa.scalar(_PRESENT, kind), pa.scalar(_MISSING, kind)),
        pc.if_else(is_present, framed_lengths, nothing),
        pc.fill_null(text, nothing),
    ]
