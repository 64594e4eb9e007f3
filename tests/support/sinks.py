"""Sinks for tests: a plain file, and a local destination whose sinks fail at a chosen call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.destinations import local
from rivet.destinations.staged import StagedFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rivet.model.sink import ObjectInfo


def file_sink(path: Path) -> StagedFile:
    """Return a sink that leaves its bytes in a file."""
    return StagedFile(path, path.name)


def store(destination: local.LocalDestination, name: str, body: bytes) -> ObjectInfo:
    """Store an object as a run does."""
    sink = destination.create(name)
    sink.write(body)
    sink.prepare()
    return sink.publish()


class FaultySink(local.LocalSink):
    """A sink of a local destination that fails at one call, before or after doing it."""

    fail: Callable[[str, str], None]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes, or fail."""
        self.fail("write", "before")
        super().write(data)
        self.fail("write", "after")

    def prepare(self) -> None:
        """Make them durable, or fail."""
        self.fail("prepare", "before")
        super().prepare()
        self.fail("prepare", "after")

    def publish(self) -> ObjectInfo:
        """Publish, or fail."""
        self.fail("publish", "before")
        return super().publish()

    def abort(self) -> None:
        """Drop it, and fail all the same."""
        super().abort()
        self.fail("abort", "after")
