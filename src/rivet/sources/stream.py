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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from rivet.model.relation import ReadRequest

__all__ = ["NO_LIMIT", "WireStream"]

NO_LIMIT = 2**31 - 1
"""The largest value where the request has no limit."""


class WireStream(ABC):
    """The batches of one statement; it starts with the first batch asked for.

    Args:
        request: What is read; `schema` is that of its columns.
        decoder: The kernel's decoder, made for the request's columns.
    """

    def __init__(self, request: ReadRequest, decoder: Any) -> None:  # noqa: ANN401 - the kernel
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

    @abstractmethod
    def _begin(self) -> None:
        """Send the statement and wait until its rows may come."""

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
                self._begin()
            is_whole = False
            while not is_whole and not self._is_over:
                with self._on_wire():
                    is_whole = not self._fill()
                self._counters.wire_bytes = self._received_bytes()
                if decoder.rows and not self._is_over:
                    batch = decoder.take()
                    self._counters.rows += batch.num_rows
                    self._counters.nulled = dict(decoder.nulled)
                    yield batch
            self._is_running = self._is_running and not is_whole
        except SourceError:
            if not self._is_over:
                raise
        finally:
            self._counters.longest_statement_s = time.monotonic() - self._started_at
            self.close()

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
