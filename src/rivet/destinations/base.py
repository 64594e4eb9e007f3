"""The destination seam: a destination is one module with `Options`, `CAPABILITIES` and `open`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.destinations.deadlines import CallLimits
    from rivet.model.sink import ObjectInfo, Sink


@dataclass(frozen=True, slots=True)
class DestinationCapabilities:
    """Static facts of a destination.

    Attributes:
        name: Registry name.
        is_listable: Objects can be listed, read back and removed; without it there is no manifest.
        has_atomic_put: An object is never visible before it is whole.
        call_timeout_s: How long one call may take; None where that is not its own affair.
    """

    name: str
    is_listable: bool
    has_atomic_put: bool
    call_timeout_s: float | None = None


class PartTaker(Protocol):
    """What uploading needs of a destination."""

    @property
    def uri(self) -> str:
        """The prefix for people; holds no secret."""
        ...

    @property
    def limits(self) -> CallLimits:
        """How long its calls may take."""
        ...

    def create(self, name: str) -> Sink:
        """Begin an object; see `Destination`."""
        ...

    def remove(self, name: str) -> None:
        """Remove one object; see `Destination`."""
        ...


class Destination(Protocol):
    """An open destination: the prefix of one export."""

    @property
    def uri(self) -> str:
        """The prefix for people and manifests; holds no secret."""
        ...

    @property
    def limits(self) -> CallLimits:
        """How long its calls may take; whoever opens it by `open_destination` has them kept."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said with every run that writes there."""
        ...

    @property
    def retries(self) -> int:
        """How many requests were made again so far, as they failed for the moment."""
        ...

    def create(self, name: str) -> Sink:
        """Begin an object; it is there under its name once its sink has published it.

        Raises:
            DestinationError: The name lies outside the prefix, or nothing can be written.
        """
        ...

    def put_bytes(self, data: bytes, name: str) -> ObjectInfo:
        """Store or replace a small object, durably and all at once (manifest, `_SUCCESS`)."""
        ...

    def get(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return an object's bytes, None where it does not exist.

        Raises:
            DestinationError: It cannot be read or is larger than `max_bytes`.
        """
        ...

    def stat(self, name: str) -> ObjectInfo | None:
        """Return an object's size, None where it does not exist."""
        ...

    def walk(self) -> Iterator[ObjectInfo]:
        """List all objects under the prefix, staged files excluded."""
        ...

    def move(self, name: str, new_name: str) -> None:
        """Give an object another name under the prefix; nothing is overwritten.

        Raises:
            ObjectExistsError: The new name is taken; nothing was changed.
            DestinationError: It cannot be moved.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove one object; one that does not exist is not an error."""
        ...

    def close(self) -> None:
        """Drop what was begun and never published. Safe to call twice."""
        ...
