"""The batches of one statement whose rows the wire kernel decodes, for engines that have a wire.

An engine adds how its statement begins, how bytes come in and how what still runs is halted. The
order of those, closing from another thread and the counters are the same for all.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rivet.errors import SourceError, SourceInterruptedError
from rivet.model.arrow import arrow_schema
from rivet.redact import visible
from rivet.sources.base import ReadCounters
from rivet.sources.slices import SliceTiming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from rivet.model.relation import ReadRequest
    from rivet.model.span import Span
    from rivet.sources.slices import ProbeKeys, Slicer

__all__ = ["NO_LIMIT", "WireStream"]

NO_LIMIT = 2**31 - 1
"""The largest value where the request has no limit."""


def _without_a_pause() -> None:
    """Wait for nothing."""


class WireStream(ABC):
    """The batches of one statement; it starts with the first batch asked for.

    Args:
        request: What is read; `schema` is that of its columns.
        decoder: The kernel's decoder, made for the request's columns.
        slicer: Cuts the read into statements; None reads it in one.

    Attributes:
        between: Called before each statement but the first; nothing runs on the server meanwhile.
    """

    def __init__(
        self,
        request: ReadRequest,
        decoder: Any,  # noqa: ANN401 - the kernel
        slicer: Slicer | None = None,
    ) -> None:
        self.between: Callable[[], None] = _without_a_pause
        self._slicer = slicer
        self._slice_bytes = self._slice_rows = self._expected_bytes = 0
        self._request = request
        self._decoder = decoder
        self._schema = arrow_schema(request.columns)
        self._counters = ReadCounters()
        self._started_at = 0.0
        self._is_running = False
        self._is_over = False
        self._wire = threading.Lock()

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        return self._schema

    @property
    def counters(self) -> ReadCounters:
        """Live counters."""
        return self._counters

    @property
    def is_sliced(self) -> bool:
        """Whether the read is several statements."""
        return self._slicer is not None

    def split_off(self, probe_keys: ProbeKeys, commit: Callable[[Span], None]) -> Span | None:
        """Give a part of what has not been begun to somebody else, see `Slicer.split_off`."""
        return None if self._slicer is None else self._slicer.split_off(probe_keys, commit)

    @abstractmethod
    def _begin(self, span: Span | None) -> None:
        """Send the statement, of a slice where one is given, and wait until its rows may come."""

    def _restart(self) -> None:
        """Let the decoder go on with the rows of another statement."""
        self._decoder.restart()

    def _finish(self) -> None:  # noqa: B027 - most have nothing to do
        """Be told, with the connection to oneself, that all rows have come."""

    @abstractmethod
    def _fill(self) -> bool:
        """Receive into the open batch until it is full; False at the clean end of the rows."""

    @abstractmethod
    def _received_bytes(self) -> int:
        """Return how many bytes of rows have come."""

    @abstractmethod
    def _translated(self, action: str) -> AbstractContextManager[None]:
        """Raise the driver's errors as Rivet's."""

    @abstractmethod
    def _halt(self) -> None:
        """End the statement that still runs, and leave its snapshot."""

    @abstractmethod
    def _cancel(self) -> None:
        """Cancel the statement that another thread is receiving."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches once; a cut connection raises and is never taken for the end.

        Raises:
            SourceInterruptedError: The connection or the statement was cut.
            SourceStatementTimeoutError: The statement ran into its limit.
            FormatError: A value cannot be held by its column's type.
        """
        if self._is_over or self._is_running:
            return
        decoder = self._decoder
        self._started_at = time.monotonic()
        self._is_running = True
        try:
            with self._on_wire():
                self._begin(self._slicer.next(None) if self._slicer else None)
            is_whole = False
            while not is_whole and not self._is_over:
                with self._on_wire():
                    is_full = self._fill()
                self._counters.wire_bytes = self._received_bytes()
                if not is_full:
                    is_whole = not self._begin_next()
                if decoder.rows and (is_full or is_whole) and not self._is_over:
                    batch = decoder.take()
                    self._counters.rows += batch.num_rows
                    self._counters.nulled = dict(decoder.nulled)
                    yield batch
            self._is_running = self._is_running and not is_whole
        except SourceError:
            if not self._is_over:
                raise
        finally:
            if self._is_running:
                self._note_time()
            self.close()

    def _begin_next(self) -> bool:
        """Begin the next slice; False where the one that has just ended was the last."""
        took = self._note_time()
        with self._on_wire():
            before = self._slicer.size if self._slicer else 0
            span = self._slicer.next(took) if self._slicer else None
            if self._slicer and before:
                self._expected_bytes = took.wire_bytes * self._slicer.size // before
            if span is None:
                self._finish()
                return False
            self._is_running = False
        self.between()
        with self._on_wire():
            self._restart()
            self._started_at = time.monotonic()
            self._is_running = True
            self._begin(span)
        return True

    def _note_time(self) -> SliceTiming:
        seconds = time.monotonic() - self._started_at
        self._counters.longest_statement_s = max(self._counters.longest_statement_s, seconds)
        received, rows = self._received_bytes(), self._counters.rows + self._decoder.rows
        took = SliceTiming(seconds, received - self._slice_bytes, rows - self._slice_rows)
        self._slice_bytes, self._slice_rows = received, rows
        return took

    @contextmanager
    def _on_wire(self) -> Iterator[None]:
        """Have the connection to oneself, with errors translated; nothing after a close."""
        action = f"reading {visible(self._request.relation.label)}"
        with self._wire:
            if self._is_over:
                msg = f"{action}: the stream was closed"
                raise SourceInterruptedError(msg)
            with self._translated(action):
                yield

    def close(self) -> None:
        """End the statement if it still runs, and leave the connection usable or closed.

        From another thread than the one that iterates, this ends the iteration without an error.
        """
        self._is_over = True
        if not self._is_running:
            return
        if not self._wire.acquire(blocking=False):
            self._cancel()
            self._wire.acquire()
        try:
            if self._is_running:
                self._is_running = False
                self._halt()
        finally:
            self._wire.release()
