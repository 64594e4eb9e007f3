"""Object upload: a multipart upload of fixed parts, or one whole put, published at the end.

Full parts leave while bytes are written; what does not fill one is kept until `publish`, in memory
within a budget of the destination, else in a temporary file without a name (docs/adr/0047).
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

from rivet.destinations.object_client import OWN_MARK, OWN_MD5
from rivet.destinations.object_errors import store_errors
from rivet.errors import DestinationError, DestinationUnavailableError, ObjectExistsError
from rivet.model.diskerrors import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from obstore import WritableFile

    from rivet.destinations.object_client import ObjectClient
    from rivet.model.sink import ObjectInfo

__all__ = ["PART_BYTES", "Budget", "ObjectSink", "abort_upload"]

PART_BYTES: Final = 8 * 1024 * 1024
"""Size of every part but the last; some stores want them equal. Smaller objects are put whole."""
_PARTS_AT_ONCE: Final = 3


class Budget:
    """Bytes that prepared objects of one destination may hold in memory; thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes; False where there are not enough."""
        with self._lock:
            is_enough = size <= self._left
            self._left -= size if is_enough else 0
            return is_enough

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += size


class ObjectSink:
    """One object on its way, see `Sink`.

    Args:
        client: Of the prefix it goes to.
        name: Its final name there.
        budget: What it may hold in memory once it is prepared.
        at_end: Told of itself once it is published or aborted.

    Raises:
        DestinationError: The name lies outside the prefix.
    """

    def __init__(
        self,
        client: ObjectClient,
        name: str,
        budget: Budget,
        *,
        at_end: Callable[[ObjectSink], object],
    ) -> None:
        self.name = name
        self._client = client
        self._budget = budget
        self._at_end = at_end
        self._key = client.key(name)
        self._mark = secrets.token_hex(8)
        self._writer: WritableFile | None = None
        self._buffer = bytearray()
        self._spilled: IO[bytes] | None = None
        self._held = 0
        self._digests: list[bytes] = []
        self._size = 0
        self._is_prepared = False
        self._is_given_up = False
        self._is_over = False

    @property
    def local_path(self) -> Path | None:
        """None: its bytes are not on this machine."""
        return None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes; waits while enough parts are on their way."""
        view = memoryview(data).cast("B")
        while view:
            piece = view[: PART_BYTES - len(self._buffer)]
            self._buffer += piece
            self._size += len(piece)
            view = view[len(piece) :]
            if len(self._buffer) == PART_BYTES:
                self._send_part()

    def _send_part(self) -> None:
        import obstore

        self._refuse_over()
        store = self._client
        if len(self._digests) + 1 >= store.kind.max_parts:
            most = store.kind.max_parts * PART_BYTES // 2**30
            msg = f"cannot write {store.uri_of(self.name)}: it is larger than {most:,} GB"
            raise DestinationError(
                msg,
                hint="set `max_file_size` on the export to write several smaller files",
                code="RIVET_DESTINATION_FULL",
            )
        part, self._buffer = self._buffer, bytearray()
        with store_errors("cannot write", store.uri_of(self.name)):
            if self._writer is None:
                self._writer = obstore.open_writer(
                    store.uploads,
                    self._key,
                    attributes={OWN_MARK: self._mark},
                    buffer_size=PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )
            self._writer.write(part)
        self._digests.append(self._digest(part))

    def _digest(self, part: bytes | bytearray) -> bytes:
        if not self._client.kind.has_md5_etags:
            return b""
        return hashlib.md5(part, usedforsecurity=False).digest()

    def prepare(self) -> None:
        """Keep what is left for `publish`; safe to call twice."""
        if self._is_prepared:
            return
        self._is_prepared = True
        size = len(self._buffer)
        if self._budget.take(size):
            self._held = size
            return
        with disk_errors("cannot write", tempfile.gettempdir()):
            self._spilled = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_drop_rest`
            self._spilled.write(self._buffer)
        self._buffer = bytearray()

    def publish(self) -> ObjectInfo:
        """Complete the upload, and compare what the store has with what was written.

        Raises:
            ObjectExistsError: The name is taken; nothing was changed.
            DestinationError: It failed; nothing is visible under the name.
        """
        self.prepare()
        self._refuse_over()
        rest = self._rest()
        try:
            info = self._put_whole(rest) if self._writer is None else self._complete(rest)
        finally:
            self._drop_rest()
        self._is_over = True
        self._at_end(self)
        return info

    def _put_whole(self, body: bytes | bytearray) -> ObjectInfo:
        digest = self._digest(body)
        attributes = {OWN_MARK: self._mark}
        if digest:
            attributes[OWN_MD5] = digest.hex()
        store = self._client
        try:
            tag = store.put_new(body, self.name, attributes)
        except (ObjectExistsError, DestinationUnavailableError):
            if not store.is_own(self.name, self._mark):  # by an attempt that was not answered
                raise
            tag = None
        return store.confirmed(self.name, len(body), [digest], tag, is_whole=True)

    def _complete(self, rest: bytes | bytearray) -> ObjectInfo:
        store, writer = self._client, self._writer
        if writer is None:
            msg = f"{self.name} has no upload"
            raise AssertionError(msg)
        # No client completes an upload on condition; names are unique to a claim as well.
        if store.stat(self.name) is not None:
            raise store.taken(self.name)
        self._refuse_over()
        try:
            with store_errors("cannot write", store.uri_of(self.name)):
                if rest:
                    writer.write(rest)
                writer.close()
        except DestinationError:
            if not store.is_own(self.name, self._mark):  # completed, and not answered
                raise
        if rest:
            self._digests.append(self._digest(rest))
        return store.confirmed(self.name, self._size, self._digests, None, is_whole=False)

    def _rest(self) -> bytes | bytearray:
        if self._spilled is None:
            return self._buffer
        with disk_errors("cannot read", tempfile.gettempdir()):
            self._spilled.seek(0)
            return self._spilled.read()

    def _drop_rest(self) -> None:
        self._budget.give_back(self._held)
        self._held = 0
        self._buffer = bytearray()
        if self._spilled is not None:
            self._spilled.close()
            self._spilled = None

    def _refuse_over(self) -> None:
        self._client.refuse_closed()
        if self._is_given_up or self._is_over:
            msg = f"{self.name} was given up; it is not published"
            raise DestinationError(msg)

    def give_up(self) -> None:
        """Publish nothing from here on."""
        self._is_given_up = True

    def abort(self) -> None:
        """Abort the upload, unless it is published; never raises."""
        if self._is_over:
            return
        self._is_over = True
        self._at_end(self)
        self._drop_rest()
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):  # what cannot be told is left to the rules of the bucket
                abort_upload(writer)


def abort_upload(writer: WritableFile) -> None:
    """Have the store drop the parts of an upload."""
    ending: Any = (RuntimeError, None, None)  # leaving by an error is how its client aborts
    writer.__exit__(*ending)
