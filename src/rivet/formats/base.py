"""The format seam: a format is one module with `CAPABILITIES`, `check` and `open`.

`FileSink` is what every writer writes into: it hashes what it writes and speaks plain errors.
"""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import xxhash

from rivet.model.diskerrors import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from rivet.model.output import WriterOptions
    from rivet.model.part import FileStats


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
        """Finish the file: footer written, file closed.

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

    def open(self, path: Path, schema: pa.Schema, options: WriterOptions) -> Writer:
        """Create the file and return its writer.

        Raises:
            DestinationError: The file cannot be created.
        """
        ...


class FileSink:
    """A new local file that hashes its bytes on their way out; never read back.

    It has the file methods pyarrow asks for. Bytes are gathered to blocks of 1 MiB, and write-back
    to the disk is begun every 32 MiB, so that the fsync that publishes the file has little left.

    Raises:
        DestinationError: The file cannot be created or written; a full disk has its own code.
    """

    _BLOCK_BYTES: Final = 1024 * 1024
    _WRITE_BACK_BYTES: Final = 32 * 1024 * 1024

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors("cannot create", path):
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._pending = bytearray()
        self._flushed = 0
        self._written_back = 0
        self._xxh3 = xxhash.xxh3_64()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._is_aborted = False

    @property
    def closed(self) -> bool:
        """Whether the file is closed or given up."""
        return self._fd < 0

    @property
    def bytes_flushed(self) -> int:
        """Bytes that have reached the file."""
        return self._flushed

    def writable(self) -> bool:
        """Return True: a sink is only ever written."""
        return True

    def tell(self) -> int:
        """Return the position the next byte goes to."""
        return self._flushed + len(self._pending)

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes and return how many; after `abort` they are dropped."""
        view = memoryview(data)
        if self._is_aborted:
            return view.nbytes
        self._pending += view
        if len(self._pending) >= self._BLOCK_BYTES:
            self.flush()
        return view.nbytes

    def flush(self) -> None:
        """Hand everything gathered to the operating system."""
        block, self._pending = self._pending, bytearray()
        if not block:
            return
        self._xxh3.update(block)
        self._md5.update(block)
        view = memoryview(block)
        with disk_errors("cannot write", self.path):
            while view:
                done = os.write(self._fd, view)
                self._flushed += done
                view = view[done:]
        self._begin_write_back()

    def _begin_write_back(self) -> None:
        length = self._flushed - self._written_back
        if length >= self._WRITE_BACK_BYTES and hasattr(os, "posix_fadvise"):
            with suppress(OSError):  # advice only: the fsync decides
                os.posix_fadvise(self._fd, self._written_back, length, os.POSIX_FADV_DONTNEED)
            self._written_back = self._flushed

    def close(self) -> None:
        """Flush and close the file; safe to call twice."""
        if self._fd < 0:
            return
        self.flush()
        fd, self._fd = self._fd, -1
        with disk_errors("cannot close", self.path):
            os.close(fd)

    def abort(self) -> None:
        """Close and delete the file; never raises."""
        self._is_aborted = True
        self._pending = bytearray()
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            if fd >= 0:
                os.close(fd)
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    @property
    def content_hash(self) -> str:
        """`xxh3:` and 16 hex digits over all flushed bytes."""
        return f"xxh3:{self._xxh3.hexdigest()}"

    @property
    def content_md5(self) -> str:
        """MD5 over all flushed bytes, base64."""
        return base64.b64encode(self._md5.digest()).decode("ascii")
