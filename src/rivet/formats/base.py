"""The format seam: a format is one module with `CAPABILITIES`, `check` and `open`.

`HashingStream` is what every writer writes into: it hashes what goes to the destination's sink.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import xxhash

if TYPE_CHECKING:
    import pyarrow as pa

    from rivet.model.output import WriterOptions
    from rivet.model.part import FileStats
    from rivet.model.sink import Sink


@dataclass(frozen=True, slots=True)
class FormatCapabilities:
    """Static facts of a file format.

    Attributes:
        name: Registry name.
        extension: File name ending without the dot.
        has_compression: Takes a codec.
    """

    name: str
    extension: str
    has_compression: bool


class Writer(Protocol):
    """One file being written; it is not whole before `close` returned."""

    @property
    def bytes_written(self) -> int:
        """Bytes that have reached the file so far; grows only as data is flushed."""
        ...

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch whose schema equals the one the file was opened with.

        Raises:
            FormatError: A value cannot be written.
            DestinationError: The disk is full or the file cannot be written.
        """
        ...

    def close(self) -> FileStats:
        """Finish the file: footer written, all bytes with the sink.

        Raises:
            DestinationError: The disk is full or the file cannot be written.
        """
        ...

    def abort(self) -> None:
        """Give up and delete the file; safe to call after any error."""
        ...


class Format(Protocol):
    """The module of a format."""

    CAPABILITIES: FormatCapabilities

    def check(self, schema: pa.Schema, options: WriterOptions) -> None:
        """Refuse a schema or options that this format cannot write.

        Raises:
            FormatError: Names every offending column.
        """
        ...

    def open(self, sink: Sink, schema: pa.Schema, options: WriterOptions) -> Writer:
        """Return the writer of a file whose bytes go to a sink.

        Raises:
            DestinationError: The sink cannot take bytes.
        """
        ...


class HashingStream:
    """The file object that writers write into: hashes bytes in blocks of 1 MiB on their way out.

    It has the file methods pyarrow asks for.

    Raises:
        DestinationError: The sink cannot take the bytes.
    """

    _BLOCK_BYTES: Final = 1024 * 1024

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pending = bytearray()
        self._is_over = False
        self.bytes_flushed = 0
        self._xxh3 = xxhash.xxh3_64()
        self._md5 = hashlib.md5(usedforsecurity=False)

    @property
    def name(self) -> str:
        """The name of what is written, for messages."""
        return self._sink.name

    @property
    def closed(self) -> bool:
        """Whether everything is handed over, or given up."""
        return self._is_over

    def writable(self) -> bool:
        """Return True: it is only ever written."""
        return True

    def tell(self) -> int:
        """Return the position the next byte goes to."""
        return self.bytes_flushed + len(self._pending)

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes and return how many; after `abort` they are dropped."""
        view = memoryview(data)
        if self._is_over:
            return view.nbytes
        self._pending += view
        if len(self._pending) >= self._BLOCK_BYTES:
            self.flush()
        return view.nbytes

    def flush(self) -> None:
        """Hand everything gathered to the sink."""
        block, self._pending = self._pending, bytearray()
        if block:
            self._xxh3.update(block)
            self._md5.update(block)
            self._sink.write(block)
            self.bytes_flushed += len(block)

    def close(self) -> None:
        """Hand over what is left; safe to call twice."""
        if not self._is_over:
            self.flush()
            self._is_over = True

    def abort(self) -> None:
        """Drop everything, what the sink has included; never raises."""
        self._is_over = True
        self._pending = bytearray()
        with suppress(Exception):  # the error that led here is the one to tell
            self._sink.abort()

    @property
    def content_hash(self) -> str:
        """`xxh3:` and 16 hex digits over all flushed bytes."""
        return f"xxh3:{self._xxh3.hexdigest()}"

    @property
    def content_md5(self) -> str:
        """MD5 over all flushed bytes, base64."""
        return base64.b64encode(self._md5.digest()).decode("ascii")
