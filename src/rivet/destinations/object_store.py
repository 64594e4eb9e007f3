"""Object store: the destination that S3, Google Cloud Storage and Azure Blob Storage share.

One prefix of one bucket. Whatever the prefix is, an object of a neighbour whose name begins alike
is never listed, moved or removed.

Source: obstore; the HTTP APIs of the three stores; docs/adr/0047.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rivet.destinations.deadlines import CallLimits
from rivet.destinations.object_client import OWN_MD5, ObjectClient
from rivet.destinations.object_errors import store_errors
from rivet.destinations.object_sink import Budget, ObjectSink, abort_upload
from rivet.model.sink import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from obstore import ObjectMeta

__all__ = ["CALL_TIMEOUT_S", "ObjectDestination"]

CALL_TIMEOUT_S: Final = 600.0
BUDGET_MB: Final = 64

_LISTED_AT_ONCE: Final = 1000
_PROBES: Final = 5
_COPY_BYTES: Final = 8 * 1024 * 1024


class ObjectDestination:
    """The prefix of one export in a bucket.

    Args:
        client: Asks the store.
        budget_mb: Megabytes that objects which wait to be published may hold in memory.
        remarks: What is to be said with every run.

    Attributes:
        limits: How long its calls may take.
        remarks: As given.
    """

    def __init__(
        self,
        client: ObjectClient,
        budget_mb: int | None = None,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self.remarks = remarks
        self.limits = CallLimits(CALL_TIMEOUT_S)
        self._client = client
        self._budget = Budget((budget_mb or BUDGET_MB) * 2**20)
        self._sinks: set[ObjectSink] = set()

    @property
    def retries(self) -> int:
        """How many requests were made again."""
        return self._client.tried.count

    @property
    def uri(self) -> str:
        """Scheme, bucket and prefix, unescaped, as manifests have it."""
        return self._client.uri

    def probe(self) -> None:
        """Prove that it can be written: begin an upload and abort it, so that no object is left.

        Azure aborts nothing: it forgets a part after a week. There is one at most, by its name.

        Raises:
            DestinationError: It cannot.
        """
        import obstore
        from obstore.exceptions import BaseError

        client, key = self._client, self._client.key(".rivet-probe.tmp")

        def attempt() -> None:
            with store_errors("cannot write to", self.uri):
                writer = obstore.open_writer(client.store, key, buffer_size=1, max_concurrency=1)
                try:
                    writer.write(b"x")
                    writer.write(b"")  # waits for what was sent: Azure is asked nothing before
                except (BaseError, OSError):
                    with suppress(Exception):
                        abort_upload(writer)
                    raise
                with suppress(FileNotFoundError):  # it was, by an attempt that was not answered
                    abort_upload(writer)

        client.tried(attempt, attempts=_PROBES)

    def create(self, name: str) -> ObjectSink:
        """Begin an object; nothing is asked of the store before it is large.

        Raises:
            DestinationError: The name lies outside the prefix.
        """
        self._client.refuse_closed()
        sink = ObjectSink(self._client, name, self._budget, at_end=self._sinks.discard)
        self._sinks.add(sink)
        return sink

    def put_bytes(self, data: bytes, name: str) -> ObjectInfo:
        """Store or replace a small object in one request, and compare what the store has.

        Raises:
            DestinationError: It failed; what was there stays.
        """
        self._client.refuse_closed()
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        tag = self._client.put(data, name, {OWN_MD5: digest.hex()}, is_new=False)
        return self._client.confirmed(name, len(data), [digest], tag, is_whole=True)

    def get(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return an object's bytes, None where it does not exist."""
        return self._client.get(name, max_bytes=max_bytes)

    def stat(self, name: str) -> ObjectInfo | None:
        """Return an object's size, None where it does not exist."""
        return self._client.stat(name)

    def walk(self) -> Iterator[ObjectInfo]:
        """List all objects below the prefix, a thousand with each request."""
        pages = _Pages(self._client)
        while page := self._client.tried(pages.read):
            for path, size in page:
                if path.startswith(pages.start) and path != pages.start:
                    name = path[len(pages.start) :]
                    yield ObjectInfo(name, self._client.uri_of(name), size)

    def move(self, name: str, new_name: str) -> None:
        """Copy an object to another name, then remove it; nothing is overwritten.

        Raises:
            ObjectExistsError: The new name is taken; nothing was changed.
            DestinationError: It cannot be moved; it is where it was, or at both names.
        """
        found = self.stat(name)
        if found is not None and found.size_bytes > self._client.kind.max_copy_bytes:
            self._copy_through(name, new_name)
        else:
            self._client.copy(name, new_name)
        self.remove(name)

    def _copy_through(self, name: str, new_name: str) -> None:
        import obstore

        sink = self.create(new_name)
        try:
            with store_errors("cannot move", self._client.uri_of(name)):
                for block in obstore.get(self._client.store, self._client.key(name)).stream(
                    _COPY_BYTES
                ):
                    sink.write(memoryview(block))
            sink.publish()
        finally:
            sink.abort()

    def remove(self, name: str) -> None:
        """Remove one object; one that does not exist is not an error."""
        self._client.remove(name)

    def close(self) -> None:
        """Abort what was begun and never published. Safe to call twice."""
        self._client.is_closed = True
        for sink in list(self._sinks):
            sink.abort()


class _Pages:
    """The pages of a listing; one that fails is asked for again, after the last object seen."""

    def __init__(self, client: ObjectClient) -> None:
        self.start = f"{client.prefix}/" if client.prefix else ""
        self._client = client
        self._last: str | None = None
        self._pages: Iterator[Sequence[ObjectMeta]] | None = None

    def read(self) -> list[tuple[str, int]]:
        """Return names and sizes of the next thousand objects; none at the end."""
        import obstore

        pages, self._pages = self._pages, None  # none where this fails
        with store_errors("cannot list", self._client.uri):
            if pages is None:
                prefix = self.start or None
                listing = obstore.list(
                    self._client.store, prefix, offset=self._last, chunk_size=_LISTED_AT_ONCE
                )
                pages = iter(listing)
            page = [(meta["path"], meta["size"]) for meta in next(pages, ())]
        self._pages = pages
        self._last = page[-1][0] if page else self._last
        return page
