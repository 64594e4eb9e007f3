"""A sink: one object on its way into a destination, such as a staged file or a multipart upload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rivet.model.part import FileStats


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object: its name relative to the prefix, its URI for people, its size."""

    name: str
    uri: str
    size_bytes: int
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class SinkRef:
    """Which destination the parts of a run go to; secrets are named in it, never held.

    Attributes:
        kind: Registry name of the destination.
        options: Its keys, with placeholders replaced.
        base_dir: What relative paths are relative to; None is the working directory.
    """

    kind: str
    options: Mapping[str, Any]
    base_dir: Path | None = None


class Sink(Protocol):
    """Takes the bytes of one object in order; nobody sees it under its name before `publish`."""

    @property
    def name(self) -> str:
        """Its final name, relative to the destination's prefix."""
        ...

    @property
    def local_path(self) -> Path | None:
        """Where its bytes can be read back before they are published; None where they cannot."""
        ...

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes, which the caller does not change any more.

        Raises:
            DestinationError: They cannot be written; a full disk has its own code.
        """
        ...

    def prepare(self) -> None:
        """Make all that was written durable, still invisible; nothing is written after it.

        Raises:
            DestinationError: It cannot be made durable.
        """
        ...

    def publish(self) -> ObjectInfo:
        """Make the prepared object visible under its final name, all at once and durably.

        Raises:
            ObjectExistsError: The name is taken; nothing was changed.
            DestinationError: It failed; nothing is visible under the name.
        """
        ...

    def give_up(self) -> None:
        """Publish nothing from here on: a call of it hangs and nobody waits for it any more.

        Unlike all else it may be called while another thread is inside a call.
        """
        ...

    def abort(self) -> None:
        """Drop what was written; never raises, and does nothing once it is published."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedPart:
    """A whole file that is durable and that nobody else can see yet.

    Attributes:
        sink: Publishes it.
        ordinal: Its place among the parts of its claim, from 0.
    """

    sink: Sink
    ordinal: int
    stats: FileStats

    @property
    def name(self) -> str:
        """Its final name, relative to the destination's prefix."""
        return self.sink.name
