"""Prefetch: read ahead on a thread of its own, so that decoding and encoding overlap.

Reading, encoding and uploading are three stages joined by bounded queues: memory is bounded by the
batches in flight, whatever the size of the relation.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
_POLL_S: Final = 0.1


class _End:
    """Marks the end of the items, or the error that ended them."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetch(Generic[T]):
    """Iterates `items` on a thread, at most `depth` ahead of its consumer.

    An error of the producer is raised in the consumer, after the items that came before it.
    """

    def __init__(self, items: Iterable[T], *, depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="rivet-read", daemon=True)

    def __iter__(self) -> Iterator[T]:
        self._thread.start()
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                self._thread.join()
                if item.error is not None:
                    raise item.error
                return
            yield item

    def wait_for_room(self, count: int) -> None:
        """Wait, on the producer's thread, until this many items can be offered without waiting."""
        most = max(self._queue.maxsize - count, 0)
        with self._queue.not_full:
            while len(self._queue.queue) > most and not self._stopped.is_set():
                self._queue.not_full.wait(_POLL_S)

    def pause(self, seconds: float) -> None:
        """Do nothing for a while, on the producer's thread; `close` ends it early."""
        if seconds:
            self._stopped.wait(seconds)

    def close(self) -> None:
        """Stop the producer and wait for it; what it had read ahead is dropped."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _produce(self) -> None:
        end = _End()
        try:
            for item in self._items:
                if not self._offer(item):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer
            end = _End(error)
        self._offer(end)

    def _offer(self, item: T | _End) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False
