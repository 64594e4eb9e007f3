"""A destination each of whose calls is waited for within its limits, see `deadlines`."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from rivet.destinations.deadlines import Call, CallLimits, CallQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rivet.destinations.base import Destination
    from rivet.model.sink import ObjectInfo, Sink

T = TypeVar("T")

_LISTED_AT_ONCE: Final = 1000
_PATIENCE_S: Final = 0.5


def open_within(
    limits: CallLimits, place: str, make: Callable[[], Destination]
) -> TimedDestination:
    """Open a destination within limits, which are also those of its calls.

    Raises:
        DestinationError: It cannot be opened, or that hangs.
    """
    queue = CallQueue(limits, place=place)
    opened = queue.result(queue.put(Call("opening it", make, undo=lambda late: late.close())))
    queue.finish()
    return TimedDestination(opened, limits)


class TimedDestination:
    """Passes every call on; one that hangs raises `DestinationTimeoutError`.

    Sinks and the making of them are timed by whoever uploads (`execution/worker/upload.py`).

    Attributes:
        limits: How long its calls may take.
    """

    def __init__(self, destination: Destination, limits: CallLimits) -> None:
        self.limits = limits
        self._destination = destination
        self._calls = CallQueue(limits, place=self.uri)

    @property
    def uri(self) -> str:
        """The prefix for people and manifests."""
        return self._destination.uri

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said with every run."""
        return self._destination.remarks

    @property
    def retries(self) -> int:
        """How many requests were made again."""
        return self._destination.retries

    def create(self, name: str) -> Sink:
        """Begin an object; not timed here."""
        return self._destination.create(name)

    def put_bytes(self, data: bytes, name: str) -> ObjectInfo:
        """Store or replace a small object; one that hangs replaces nothing after `close`."""
        return self._timed(f"storing {name}", lambda: self._destination.put_bytes(data, name))

    def get(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return an object's bytes."""
        return self._timed(
            f"reading {name}", lambda: self._destination.get(name, max_bytes=max_bytes)
        )

    def stat(self, name: str) -> ObjectInfo | None:
        """Return an object's size."""
        return self._timed(f"looking at {name}", lambda: self._destination.stat(name))

    def walk(self) -> Iterator[ObjectInfo]:
        """List all objects; every thousand of them are one call."""
        found = self._timed("listing it", self._destination.walk)
        while some := self._timed("listing it", lambda: list(islice(found, _LISTED_AT_ONCE))):
            yield from some

    def move(self, name: str, new_name: str) -> None:
        """Give an object another name."""
        self._timed(f"moving {name}", lambda: self._destination.move(name, new_name))

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._timed(f"removing {name}", lambda: self._destination.remove(name))

    def close(self) -> None:
        """Drop what was begun; waited for only briefly once a call has hung."""
        self._calls.finish()
        limits = replace(self.limits)
        if limits.has_hung:
            limits.timeout_s = _PATIENCE_S
        queue = CallQueue(limits, place=self.uri)
        call = queue.put(Call("closing it", self._destination.close))
        queue.finish()
        self.limits.has_hung = limits.has_hung
        if call.is_done and call.error is not None:
            raise call.error

    def _timed(self, doing: str, make: Callable[[], T]) -> T:
        if self._calls.is_left:
            self._calls = CallQueue(self.limits, place=self.uri)
        return self._calls.result(self._calls.put(Call(doing, make)))
