"""Pytest plugin: places that destinations write to, each looked into by something else.

place         a folder, and a bucket on every store, with what opens destinations there
store_place   the same, but for the folder
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydantic import BaseModel, ConfigDict

from rivet.destinations import open_destination, sink_ref
from support.buckets import KINDS
from support.stores import make_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rivet.destinations.base import Destination
    from rivet.model.sink import Sink
    from support.buckets import Bucket

PLACES: Final = ("local", *KINDS)
"""A folder, and a bucket on each store."""


class Block(BaseModel):
    """A `destination:` block as the configuration has it."""

    model_config = ConfigDict(extra="allow")

    type: str


@dataclass
class Place:
    """A folder or bucket of a test's own, with the destinations that were opened in it.

    Attributes:
        name: One of `PLACES`.
        folder: The folder, and where relative paths begin.
        bucket: The bucket, if it is one.
    """

    name: str
    folder: Path
    bucket: Bucket | None
    opened: list[Destination] = field(default_factory=list)

    def block(self, prefix: str, endpoint: str | None = None) -> dict[str, Any]:
        """Return the `destination:` block of a prefix."""
        if self.bucket is None:
            return {"type": "local", "path": str(self.folder / prefix.strip("/"))}
        return self.bucket.block(prefix, endpoint)

    def open(self, prefix: str = "out", endpoint: str | None = None, **keys: Any) -> Destination:
        """Open a prefix with more keys of its block; it is closed with the place."""
        ref = sink_ref(Block(**self.block(prefix, endpoint) | keys), base_dir=self.folder)
        self.opened.append(open_destination(ref))
        return self.opened[-1]

    def keys(self) -> set[str]:
        """Return the whole names of all there is, whoever put it there."""
        if self.bucket is not None:
            return set(self.bucket.objects())
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix() for path in files} - set(self.dangling())

    def dangling(self) -> list[str]:
        """Return what was begun, lies there and belongs to nothing."""
        if self.bucket is not None:
            # Azure drops nothing at once: a probe of the right to write leaves one part there.
            return [key for key in self.bucket.uploads() if not key.endswith(".rivet-probe.tmp")]
        found = self.folder.rglob(".*/*") if self.folder.exists() else ()
        return [path.relative_to(self.folder).as_posix() for path in found]

    def read(self, key: str) -> bytes:
        """Return an object's bytes by its whole name."""
        return self.bucket.read(key) if self.bucket else (self.folder / key).read_bytes()

    def put_many(self, keys: list[str]) -> None:
        """Store empty objects."""
        if self.bucket is not None:
            self.bucket.put_many(keys)
            return
        for key in keys:
            self.put(key, b"")

    def put(self, key: str, body: bytes) -> None:
        """Store an object by its whole name, as somebody else would."""
        if self.bucket is not None:
            self.bucket.put(key, body)
            return
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def make_place(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Place:
    """Return a fresh place; its variables are set in this process."""
    if name == "local":
        return Place(name, folder, None)
    made = Place(name, folder, make_bucket(name))
    assert made.bucket is not None
    for variable, text in made.bucket.env.items():
        patch.setenv(variable, text)
    return made


@pytest.fixture(params=PLACES)
def place(request, tmp_path, monkeypatch) -> Iterator[Place]:
    yield from _kept_open(make_place(request.param, tmp_path / "root", monkeypatch))


@pytest.fixture(params=list(KINDS))
def store_place(request, tmp_path, monkeypatch) -> Iterator[Place]:
    yield from _kept_open(make_place(request.param, tmp_path, monkeypatch))


def _kept_open(made: Place) -> Iterator[Place]:
    yield made
    for destination in made.opened:
        destination.close()


def begun(destination: Destination, name: str, body: bytes) -> Sink:
    """Begin an object by writes of odd sizes."""
    sink = destination.create(name)
    left = memoryview(body)
    for size in itertools.cycle([1, 1 << 20, 0, 3_000_001, 8 << 20]):
        sink.write(left[:size])
        left = left[size:]
        if not left:
            break
    return sink
