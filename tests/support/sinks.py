"""Sinks for tests: a plain file, and a local destination that is watched at every call."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from rivet.destinations import local
from rivet.destinations.deadlines import CallLimits
from rivet.destinations.staged import StagedFile
from rivet.destinations.timed import TimedDestination

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rivet.model.sink import ObjectInfo


class _LeftFile(StagedFile):
    """A file that is closed once nobody holds it: hundreds of tests of one process leave one."""

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            os.close(self._fd)


def file_sink(path: Path) -> StagedFile:
    """Return a sink that leaves its bytes in a file."""
    return _LeftFile(path, path.name)


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
        nth: Which time.

    Attributes:
        limits: Those of the destination, where `watched_sinks` has it.
    """

    def __init__(self, call: tuple[str, str], nth: int = 1) -> None:
        self.call, self.nth = call, nth
        self.seen: Counter[tuple[str, str]] = Counter()
        self.reached, self.opened = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.limits = CallLimits()

    def __call__(self, call: str, when: str) -> None:
        """Hold the call, if it is the one."""
        with self.lock:
            self.seen[call, when] += 1
            is_it = (call, when) == self.call and self.seen[call, when] == self.nth
        if is_it:
            self.reached.set()
            self.hold()

    def hold(self) -> None:
        """Hang until somebody opens it."""
        self.opened.wait(60)


@contextmanager
def watched_sinks(gate: Gate) -> Iterator[None]:
    """Have the calls of all sinks of a run watched, and those of its destination that end it."""
    create, put_bytes, close = (
        local.LocalDestination.create,
        local.LocalDestination.put_bytes,
        local.LocalDestination.close,
    )

    def begin(self: TimedDestination, name: str) -> local.LocalSink:
        gate.limits = self.limits
        gate("create", "before")
        made = create(self._destination, name)
        made.__class__, made.watch = WatchedSink, gate
        gate("create", "after")
        return made

    def put(self: local.LocalDestination, data: bytes, name: str) -> ObjectInfo:
        gate("put_bytes", "before")
        return put_bytes(self, data, name)

    def end(self: local.LocalDestination) -> None:
        gate("close", "before")
        close(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimedDestination, "create", begin)
        patch.setattr(local.LocalDestination, "put_bytes", put)
        patch.setattr(local.LocalDestination, "close", end)
        yield


@contextmanager
def hanging(call: str, marker: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run the `rivet` command with a call that hangs, such as `write.before`.

    Args:
        call: Which one.
        marker: A file that is there once it hangs.
        arguments: Of the command.
    """
    command = [sys.executable, "-c", _HANGING, call, str(marker), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


_HANGING = """
import sys
from pathlib import Path
from rivet.__main__ import main
from support.sinks import Gate, watched_sinks

call, marker = sys.argv[1:3]
sys.argv[1:] = sys.argv[3:]

class Hanging(Gate):
    def hold(self):
        Path(marker).touch()
        super().hold()

with watched_sinks(Hanging(tuple(call.split(".")))):
    main()
"""
