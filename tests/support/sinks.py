"""Sinks for tests: a plain file, and a local destination that is watched at every call."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from typing_extensions import override

from rivet.destinations import local
from rivet.destinations.staged import StagedFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rivet.model.sink import ObjectInfo

Watch = "Callable[[str, str], None]"
"""Told of a call and of `before` or `after`: it may raise, and it may hang."""


def file_sink(path: Path) -> StagedFile:
    """Return a sink that leaves its bytes in a file."""
    return StagedFile(path, path.name)


def store(destination: local.LocalDestination, name: str, body: bytes) -> ObjectInfo:
    """Store an object as a run does."""
    sink = destination.create(name)
    sink.write(body)
    sink.prepare()
    return sink.publish()


class WatchedSink(local.LocalSink):
    """A sink of a local destination that tells of its calls before and after doing them."""

    watch: Callable[[str, str], None]

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.watch("write", "before")
        super().write(data)
        self.watch("write", "after")

    @override
    def prepare(self) -> None:
        self.watch("prepare", "before")
        super().prepare()
        self.watch("prepare", "after")

    @override
    def publish(self) -> ObjectInfo:
        self.watch("publish", "before")
        info = super().publish()
        self.watch("publish", "after")
        return info

    @override
    def abort(self) -> None:
        self.watch("abort", "before")
        super().abort()
        self.watch("abort", "after")


class WatchedDestination(local.LocalDestination):
    """A local destination that tells of every call of it and of its sinks."""

    watch: Callable[[str, str], None]

    @override
    def create(self, name: str) -> local.LocalSink:
        self.watch("create", "before")
        sink = super().create(name)
        sink.__class__ = WatchedSink
        assert isinstance(sink, WatchedSink)
        sink.watch = self.watch
        self.watch("create", "after")
        return sink


def watched(folder: Path, watch: Callable[[str, str], None]) -> WatchedDestination:
    """Return a local destination whose calls are watched."""
    destination = local.open(local.Options(path=str(folder)))
    destination.__class__ = WatchedDestination
    assert isinstance(destination, WatchedDestination)
    destination.watch = watch
    return destination


class Gate:
    """Holds the `nth` time a call comes until it is opened.

    Args:
        call: The call, and `before` or `after`.
    """

    def __init__(self, call: tuple[str, str], nth: int = 1) -> None:
        self.call, self.nth = call, nth
        self.seen: Counter[tuple[str, str]] = Counter()
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, call: str, when: str) -> None:
        """Hold the call, if it is the one."""
        self.seen[call, when] += 1
        if (call, when) == self.call and self.seen[call, when] == self.nth:
            self.reached.set()
            self.opened.wait(60)
