"""What the decoders of every protocol share: the open batch, its limits and its one failure."""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors

from __future__ import annotations

import sys

import cython
import pyarrow as pa  # noqa: TC002 - a guard would hide it from the compiler

from rivet.errors import InternalError
from rivet.wire.assemble import BadCellError
from rivet.wire.refusals import not_finished, refusal

if cython.compiled:
    from cython.cimports.rivet.wire.columns import ColumnBuffers
    from cython.cimports.rivet.wire.native import AT_END, FAILED
else:
    from .columns import ColumnBuffers
    from .plain import AT_END, FAILED

__all__ = ["BatchDecoder"]


@cython.cclass
class BatchDecoder:
    """The open batch of one stream; a protocol's decoder adds how its bytes are read.

    Args:
        fields: The fields of every row, in order.
        schema: The schema of the batches; its types must be those of the decoders (extension types
            over them included). It is not looked at while decoding.
        max_value_bytes: The largest value that is read; a larger one is refused before memory is
            set aside for it.
        stream: What messages call the bytes.
    """

    def __init__(
        self, fields: object, schema: object, max_value_bytes: cython.Py_ssize_t, stream: str
    ) -> None:
        if sys.byteorder != "little":
            msg = "the wire kernel runs on little-endian processors only"
            raise InternalError(msg)
        self._fields = list(fields)
        if len(self._fields) != len(schema):
            msg = f"{len(self._fields)} fields were given for a schema of {len(schema)}"
            raise InternalError(msg)
        self._columns = ColumnBuffers(self._fields, schema)
        self._first = self._columns.columns
        self._width = len(self._fields)
        self._max_value_bytes = max_value_bytes
        self._row = self._rows_before = 0
        self._position = self._needed = self._failed_field = 0
        self._stage = self._first_stage = 0
        self._counts_nulls = any(
            spec.invalid == "null"
            for field in self._fields
            for spec in (field, field.element)
            if spec
        )
        self._failure = None
        self._stream = stream

    @property
    def rows(self) -> int:
        """Rows in the open batch."""
        return self._row

    @property
    def rows_in_all(self) -> int:
        """Rows decoded since the first, those of batches taken included."""
        return self._rows_before + self._row

    @property
    def arrow_bytes(self) -> int:
        """Bytes of the open batch in Arrow, validity included."""
        return self._columns.used_bytes(self._row)

    @property
    def is_finished(self) -> bool:
        """Whether the stream's own end was seen."""
        return self._stage == AT_END

    @property
    def nulled(self) -> dict:
        """Field name to the number of values that its `null` policy turned into NULL; no zeros."""
        return self._columns.nulled()

    def take(self) -> pa.RecordBatch:
        """Return the open batch as a `pyarrow.RecordBatch` without copying it; open a new one.

        Raises:
            FormatError: A text of the batch is not valid UTF-8.
            SourceError: A text of the batch is not the number it must be.
        """
        if self._failure is not None:
            raise self._failure
        try:
            batch = self._columns.take(self._row)
        except BadCellError as error:
            self._failed_field, self._row = error.field, error.row
            raise self.refuse(error.status) from None
        self._rows_before += self._row
        self._row = 0
        return batch

    def finish(self) -> None:
        """Check that the stream came to its own end.

        Raises:
            SourceInterruptedError: It did not; what was read is not the whole result.
        """
        if self._failure is not None:
            raise self._failure
        if self._stage != AT_END:
            raise not_finished(self._rows_before + self._row, self._stream)

    def restart(self) -> None:
        """Go on with the rows of another stream of the same columns, in the same open batch.

        Raises:
            SourceInterruptedError: The stream before has not come to its own end.
        """
        self.finish()
        self._stage = self._first_stage

    def close(self) -> None:
        """Let go of the open batch. Safe to call twice."""
        self._row = 0
        self._columns.release()

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def make_room(self) -> cython.int:
        """Grow what the last NO_ROOM asked for."""
        self._columns.make_room()
        return 0

    @cython.cfunc
    def refuse(self, status: cython.int) -> object:
        """Return the error of a status; from now on the decoder gives nothing else."""
        field: object = None
        if 0 <= self._failed_field < self._width:
            field = self._fields[self._failed_field]
        row = self._rows_before + self._row + 1
        self._failure = refusal(status, field, row, self._max_value_bytes, self._stream)
        self._stage = FAILED
        return self._failure

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def settle(self, is_kept: cython.bint) -> cython.void:
        """Count what became NULL in a row, or forget it where the row is decoded again."""
        if self._counts_nulls:
            self._columns.settle(is_kept)
