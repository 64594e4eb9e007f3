"""Part files: turn a stream of batches into whole files, in the sinks of a destination.

Nothing here publishes: a part leaves as a `PreparedPart`, durable and hashed, and still invisible.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rivet.execution.worker.prefetch import Prefetch
from rivet.execution.worker.upload import UploadStage
from rivet.model.sink import PreparedPart
from rivet.plan.naming import part_name
from rivet.sources.base import PausesBetweenStatements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from rivet.destinations.base import PartTaker
    from rivet.destinations.deadlines import Call
    from rivet.execution.worker.enrich import Enricher
    from rivet.execution.worker.observe import Observations
    from rivet.execution.worker.upload import QueuedSink
    from rivet.formats.base import Format, Writer
    from rivet.model.chunk import Claim
    from rivet.model.output import OutputPlan
    from rivet.model.plan import ReadTuning
    from rivet.sources.base import BatchStream


@dataclass(slots=True)
class Flow:
    """Running totals of one attempt at one chunk."""

    rows: int = 0
    bytes_written: int = 0


class PartWriter:
    """Writes the batches of one claim as parts, splitting at `max_file_bytes`."""

    def __init__(
        self,
        claim: Claim,
        *,
        file_format: Format,
        output: OutputPlan,
        enricher: Enricher,
        observations: Observations,
        destination: PartTaker,
    ) -> None:
        self._claim = claim
        self._format = file_format
        self._output = output
        self._enricher = enricher
        self._observations = observations
        self._uploads = UploadStage(destination)
        self._ordinal = 0
        self._open: tuple[Writer, QueuedSink] | None = None
        self._preparing: deque[tuple[PreparedPart, Call[None]]] = deque()
        self.flow = Flow()

    def write(
        self, stream: BatchStream, tuning: ReadTuning, on_batch: Callable[[Flow], None]
    ) -> Iterator[PreparedPart]:
        """Write a stream; each part is yielded, in order, once it is whole and durable.

        Closing the generator early, or an error, drops the part that is open; those that were
        yielded and never published are dropped by `drop_unpublished`.

        Args:
            stream: The batches; closed on every way out.
            tuning: Its batch size bounds the memory read ahead, and what waits for the sink; its
                pause comes after each batch.
            on_batch: Called after each batch with the totals so far.

        Raises:
            SourceError: The read failed.
            FormatError: A value cannot be written.
            DestinationError: A sink cannot be opened or written.
        """
        self._uploads.bound(tuning.read_ahead_bytes)
        depth = max(tuning.read_ahead_bytes // tuning.batch_bytes, 1)
        throttled = _Throttled(stream, tuning.throttle_ms / 1000)
        ahead = throttled.ahead = Prefetch(throttled, depth=depth)
        if isinstance(stream, PausesBetweenStatements):
            # Nothing runs on the server while it waits here. A slice begins when there is room for
            # much of it; a writer that is slow makes it last longer, and so the next one smaller.
            def between() -> None:
                throttled.rest()
                ahead.wait_for_room(depth // 2)

            stream.between = between
        done = 0
        try:
            for batch in ahead:
                writer = self._write_batch(batch)
                self.flow.bytes_written = done + writer.bytes_written
                on_batch(self.flow)
                if self._is_full(writer):
                    done += self._close()
                self._uploads.check()
                yield from self._prepared()
            if self._open is not None:
                done += self._close()
            self.flow.bytes_written = done
            yield from self._prepared(waits=True)
        finally:
            with ExitStack() as ending:  # whatever one of them raises, the others come
                ending.callback(self._abort)
                ending.callback(ahead.close)
                stream.close()

    def _write_batch(self, batch: pa.RecordBatch) -> Writer:
        self._observations.observe(batch)
        if self._open is None:
            name = part_name(self._claim, self._ordinal, self._format.CAPABILITIES.extension)
            sink = self._uploads.create(name)
            writer = self._format.open(sink, self._enricher.schema, self._output.writer)
            self._open = (writer, sink)
        writer = self._open[0]
        writer.write(self._enricher.apply(batch))
        self.flow.rows += batch.num_rows
        return writer

    def _is_full(self, writer: Writer) -> bool:
        limit = self._output.max_file_bytes
        return limit is not None and writer.bytes_written >= limit

    def _close(self) -> int:
        """Finish the open part, and have it made durable; returns its size."""
        if self._open is None:
            msg = "no part is open"
            raise AssertionError(msg)
        writer, sink = self._open
        stats = writer.close()
        call = sink.begin_to_prepare()
        self._open = None
        self._preparing.append((PreparedPart(sink, self._ordinal, stats), call))
        self._ordinal += 1
        return stats.size_bytes

    def _prepared(self, *, waits: bool = False) -> Iterator[PreparedPart]:
        """Yield the parts that are durable by now, or all."""
        while self._preparing and (waits or self._preparing[0][1].is_done):
            part, call = self._preparing.popleft()
            self._uploads.prepared(call)
            yield part

    def drop_unpublished(self) -> None:
        """Drop every part that was begun and not published.

        What cannot be dropped is swept when the destination opens next; see `UploadStage` for how
        long that is waited for.
        """
        self._uploads.drop_unpublished()

    def _abort(self) -> None:
        if self._open is not None:
            self._open[0].abort()
            self._open = None


class _Throttled:
    """The batches of a stream, with a pause after each, on the thread that reads.

    Where a read is several statements, pauses come between them, as many as there were batches: a
    statement that waits for us would be open on the server all the while.
    """

    def __init__(self, stream: BatchStream, throttle_s: float) -> None:
        self._stream = stream
        self._throttle_s = throttle_s
        self._owed = 0
        self.ahead: Prefetch[pa.RecordBatch] | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        is_sliced = isinstance(self._stream, PausesBetweenStatements) and self._stream.is_sliced
        for batch in self._stream:
            yield batch
            self._owed += 1
            if not is_sliced:
                self.rest()
        self.rest()

    def rest(self) -> None:
        """Pause once for each batch since the last time."""
        owed, self._owed = self._owed, 0
        if self.ahead is not None:
            self.ahead.pause(owed * self._throttle_s)
