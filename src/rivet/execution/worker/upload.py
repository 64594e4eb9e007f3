"""Upload stage: bytes go to a destination's sinks on a thread of their own, behind a bounded queue.

Reading, encoding and uploading overlap. A sink that is slow is waited for once the queue is full;
what it raises is raised in the thread that encodes, as it is. A call that hangs is waited for as
long as the destination's limits say, and its thread is left behind (docs/adr/0041).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from rivet.destinations.deadlines import Call, CallQueue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rivet.destinations.base import PartTaker
    from rivet.model.sink import ObjectInfo, Sink

T = TypeVar("T")

QUEUE_BYTES: Final = 16 * 1024 * 1024
"""The most that may wait for the sinks of one chunk; a block that is larger waits alone."""


class UploadStage:
    """The sinks of one chunk, and the threads that all their calls are made on.

    What is published is waited for, so it does not queue behind the bytes of the next part: where
    there are some it has a thread of its own.

    Args:
        destination: Where the sinks are made; its limits say how long a call may take.
    """

    def __init__(self, destination: PartTaker) -> None:
        self._destination = destination
        limits, place = destination.limits, destination.uri
        self._uploads = CallQueue(
            limits, place=place, max_bytes=QUEUE_BYTES, at_return=self._drop_uploads
        )
        self._publishes = CallQueue(limits, place=place, at_return=self._drop_publishes)
        self._sinks: list[QueuedSink] = []
        self._error: BaseException | None = None

    def bound(self, max_bytes: int) -> None:
        """Let no more bytes wait than this, and never more than `QUEUE_BYTES`."""
        self._uploads.max_bytes = min(max_bytes, QUEUE_BYTES)

    def create(self, name: str) -> QueuedSink:
        """Begin an object; that it cannot be begun is told by a later call."""
        sink = QueuedSink(self, name, self._uploads)
        self._sinks.append(sink)
        sink.begin(lambda: self._destination.create(name))
        return sink

    def check(self) -> None:
        """Raise here what a sink has raised.

        Raises:
            DestinationError: A call failed or hangs.
        """
        if self._error is not None:
            raise self._error

    def upload(self, doing: str, make: Callable[[], None], size: int = 0) -> Call[None]:
        """Have a call of a sink made; none is made after one that failed.

        Raises:
            DestinationError: An earlier one failed or hangs.
        """

        def made() -> None:
            self.check()
            try:
                make()
            except BaseException as error:
                self._error = error
                raise

        self.check()
        if size:
            self._uploads.wait_for_room(size)
            self.check()
        return self._uploads.put(Call(doing, made, size=size))

    def prepared(self, call: Call[None]) -> None:
        """Wait for the end of an upload; raises what it raised."""
        self._uploads.result(call)

    def publish(self, sink: QueuedSink, make: Callable[[], ObjectInfo]) -> ObjectInfo:
        """Publish a sink whose uploads are over, and wait for that.

        Raises:
            DestinationError: It failed, or hangs; where it comes to pass later, it is taken back.
        """
        self.check()
        queue = sink.queue = self._uploads if self._uploads.is_idle else self._publishes
        call = Call(f"publishing {sink.name}", make, undo=self._withdraw)
        return queue.result(queue.put(call))

    def _withdraw(self, info: ObjectInfo) -> None:
        self._destination.remove(info.name)

    def drop_unpublished(self) -> None:
        """Abort all sinks that are not published, and wait for that as long as the limits say."""
        for sink in self._sinks:
            sink.abort()
        queues = self._uploads, self._publishes
        for queue in queues:
            queue.finish()
        for sink in self._sinks:
            if sink.queue.is_left:
                sink.give_up()

    def _drop_uploads(self) -> None:
        self._drop(self._uploads)

    def _drop_publishes(self) -> None:
        self._drop(self._publishes)

    def _drop(self, queue: CallQueue) -> None:
        for sink in self._sinks:
            if sink.queue is queue:
                with suppress(Exception):
                    sink.drop()


class QueuedSink:
    """A `Sink` whose calls are queued; only `prepare` and `publish` wait for their end.

    Attributes:
        queue: Where its calls are made.
    """

    def __init__(self, stage: UploadStage, name: str, queue: CallQueue) -> None:
        self.queue = queue
        self._stage = stage
        self._sink: Sink | None = None
        self._is_dropped = False
        self._is_over = False
        self.name = name

    @property
    def local_path(self) -> Path | None:
        """Where its bytes can be read back, once it is prepared."""
        return None if self._sink is None else self._sink.local_path

    def begin(self, create: Callable[[], Sink]) -> None:
        """Have the sink itself made."""

        def make() -> None:
            if not self._is_dropped:
                self._sink = create()

        self._stage.upload(f"creating {self.name}", make)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes, which the caller does not touch any more; waits while the queue is full."""

        def make() -> None:
            if not self._is_dropped:
                self._made.write(data)

        self._stage.upload(f"writing {self.name}", make, size=memoryview(data).nbytes)

    def prepare(self) -> None:
        """Make them durable, and wait for that."""
        self._stage.prepared(self.begin_to_prepare())

    def begin_to_prepare(self) -> Call[None]:
        """Have them made durable while others are written."""

        def make() -> None:
            if not self._is_dropped:
                self._made.prepare()

        return self._stage.upload(f"making {self.name} durable", make)

    def publish(self) -> ObjectInfo:
        """Publish it, and wait for that; see `UploadStage`."""
        info = self._stage.publish(self, self._made.publish)
        self._is_over = True
        return info

    def abort(self) -> None:
        """Have it dropped, unless it is published or dropped already."""
        if not self._is_dropped and not self._is_over:
            self._is_dropped = True
            with suppress(Exception):  # its thread hangs, and drops it when it comes back
                self.queue.put(Call(f"dropping {self.name}", self.drop), is_urgent=True)

    def give_up(self) -> None:
        """Tell it that nobody waits any more."""
        if self._sink is not None and not self._is_over:
            self._sink.give_up()

    def drop(self) -> None:
        """Drop it now, on the thread of the stage."""
        if self._sink is not None and not self._is_over:
            self._is_over = True
            self._sink.abort()

    @property
    def _made(self) -> Sink:
        if self._sink is None:
            msg = f"{self.name} is not begun"
            raise AssertionError(msg)
        return self._sink
