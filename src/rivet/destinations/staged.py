"""A staged file: written once under a name that nobody looks at, then published by a rename."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rivet.errors import DestinationError
from rivet.model.diskerrors import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

_WRITE_BACK_BYTES: Final = 32 * 1024 * 1024


class StagedFile:
    """A new local file for the bytes of one object, see `Sink`; subclasses publish it.

    Write-back to the disk is begun every 32 MiB, so that the fsync of `prepare` has little left.

    Args:
        path: The staged file; it must not be there.
        name: The object's final name.

    Raises:
        DestinationError: The file cannot be created.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        with disk_errors("cannot create", path):
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._written = 0
        self._written_back = 0
        self.is_published = False
        self._is_given_up = False

    @property
    def local_path(self) -> Path:
        """The staged file."""
        return self.path

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes, handed to the operating system at once."""
        view = memoryview(data)
        with disk_errors("cannot write", self.path):
            while view:
                done = os.write(self._fd, view)
                self._written += done
                view = view[done:]
        self._begin_write_back()

    def _begin_write_back(self) -> None:
        length = self._written - self._written_back
        if length >= _WRITE_BACK_BYTES and hasattr(os, "posix_fadvise"):
            with suppress(OSError):  # advice only: the fsync decides
                os.posix_fadvise(self._fd, self._written_back, length, os.POSIX_FADV_DONTNEED)
            self._written_back = self._written

    def prepare(self) -> None:
        """Write the file through to the disk and close it; safe to call twice."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        with disk_errors("cannot write", self.path):
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def give_up(self) -> None:
        """Publish nothing from here on."""
        self._is_given_up = True

    def refuse_given_up(self) -> None:
        """Stop right before something would be seen.

        Raises:
            DestinationError: Nobody waits for it any more.
        """
        if self._is_given_up:
            msg = f"{self.name} was given up; it is not published"
            raise DestinationError(msg)

    def abort(self) -> None:
        """Close and delete the file, unless it is published; never raises."""
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            if fd >= 0:
                os.close(fd)
        if not self.is_published:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
