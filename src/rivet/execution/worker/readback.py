"""Validation copy: a part on its way to a store is kept here too, so that its rows can be counted.

Only for `--validate`, and only where the destination itself is not on this machine. The copy of a
part is removed once it is published or dropped.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rivet.model.diskerrors import disk_errors

if TYPE_CHECKING:
    from rivet.destinations.base import Destination
    from rivet.destinations.deadlines import CallLimits
    from rivet.model.sink import ObjectInfo, Sink


class ReadBack:
    """The part of a destination that a worker uses, with copies of what goes to a store.

    Args:
        destination: Where parts go.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    @property
    def uri(self) -> str:
        """That of the destination."""
        return self._destination.uri

    @property
    def limits(self) -> CallLimits:
        """Those of the destination."""
        return self._destination.limits

    def create(self, name: str) -> Sink:
        """Begin an object whose bytes can be read back before it is published."""
        sink = self._destination.create(name)
        return sink if sink.local_path is not None else CopiedSink(sink)

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._destination.remove(name)


class CopiedSink:
    """A sink that writes everything into a temporary file as well, see `Sink`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.name = sink.name
        with disk_errors("cannot create a file in", tempfile.gettempdir()):
            self._file = tempfile.NamedTemporaryFile(prefix="rivet-validate-", delete=False)  # noqa: SIM115
        self._path = Path(self._file.name)

    @property
    def local_path(self) -> Path:
        """The copy."""
        return self._path

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes to both."""
        with disk_errors("cannot write", self._path):
            self._file.write(data)
        self._sink.write(data)

    def prepare(self) -> None:
        """Prepare the sink; the copy is whole."""
        with disk_errors("cannot write", self._path):
            self._file.close()
        self._sink.prepare()

    def publish(self) -> ObjectInfo:
        """Publish the sink and remove the copy."""
        info = self._sink.publish()
        self._drop()
        return info

    def give_up(self) -> None:
        """Tell the sink."""
        self._sink.give_up()

    def abort(self) -> None:
        """Drop both."""
        self._drop()
        self._sink.abort()

    def _drop(self) -> None:
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
