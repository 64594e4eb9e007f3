"""Rows of a DuckDB statement as record batches of bounded size, from its own Arrow stream."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from rivet.errors import SourceError, SourceInterruptedError
from rivet.model.arrow import arrow_schema
from rivet.redact import visible
from rivet.sources.base import ReadCounters
from rivet.sources.duckdb.faults import translated
from rivet.sources.duckdb.shape import Shaper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rivet.model.relation import ReadRequest

_STREAM_ROWS: Final = 8_192
_INTERRUPT_AGAIN_S: Final = 0.05


class ArrowStream:
    """One read; a batch holds `batch_bytes` and one row at the most, or `batch_rows` rows."""

    def __init__(
        self,
        request: ReadRequest,
        connection: Any,  # noqa: ANN401 - the driver's
        statement: str,
        end: Callable[[], None],
    ) -> None:
        self._request = request
        self._connection = connection
        self._statement = statement
        self._end = end
        self._schema = arrow_schema(request.columns)
        self._shapers = [Shaper(column, request.max_value_bytes) for column in request.columns]
        self._counters = ReadCounters()
        self._turn = threading.Lock()
        self._reader: pa.RecordBatchReader | None = None
        self._is_closed = False
        self._is_ended = False

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._schema

    @property
    def counters(self) -> ReadCounters:
        """Live counters."""
        return self._counters

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of 1 to `batch_rows` rows.

        Raises:
            FormatError: A value does not fit its column.
            SourceInterruptedError: The read was cancelled.
        """
        try:
            while (given := self._next()) is not None:
                for piece in self._pieces(given):
                    if self._is_closed:
                        return
                    yield self._shaped(piece)
        except SourceError:
            if not self._is_closed:
                raise
        finally:
            self.close()

    def close(self) -> None:
        """End the read; from another thread, this ends the iteration without an error."""
        self._is_closed = True
        is_mine = self._turn.acquire(blocking=False)
        while not is_mine:
            self._connection.interrupt()
            is_mine = self._turn.acquire(timeout=_INTERRUPT_AGAIN_S)
        try:
            if not self._is_ended:
                self._is_ended = True
                self._reader = None
                self._end()
        finally:
            self._turn.release()

    def _next(self) -> pa.RecordBatch | None:
        """Return DuckDB's next batch that has rows, None at the end."""
        action = f"reading {visible(self._request.relation.label)}"
        with self._turn, translated(action):
            if self._is_closed:
                return None
            began = time.monotonic()
            if self._reader is None:
                rows = min(self._request.batch_rows, _STREAM_ROWS)
                self._reader = self._connection.sql(self._statement).to_arrow_reader(rows)
            reader = self._reader
            try:
                while (batch := reader.read_next_batch()).num_rows == 0:
                    pass
            except StopIteration:
                return None
            finally:
                waited_s = time.monotonic() - began
                self._counters.longest_statement_s += waited_s
        return batch

    def _pieces(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Cut a batch so that each piece keeps the request's limits."""
        request = self._request
        size = batch.nbytes or 1
        rows = max(1, min(request.batch_rows, batch.num_rows * request.batch_bytes // size))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)

    def _shaped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.num_columns != len(self._shapers):
            msg = "the statement gave another number of columns than the plan"
            raise SourceInterruptedError(msg, hint="run it again to plan anew")
        first = self._counters.rows + 1
        arrays = []
        for shaper, column, array in zip(
            self._shapers, self._request.columns, batch.columns, strict=True
        ):
            arrays.append(shaper.shape(array, first))
            if shaper.nulled:
                self._counters.nulled[column.name] = shaper.nulled
        self._counters.rows += batch.num_rows
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)
