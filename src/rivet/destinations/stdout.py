"""Standard output: one file's bytes, nothing else.

There is nothing to list, so there is no manifest, and a second part is refused: two files in one
stream cannot be told apart. Plans refuse splitting before anything is read (rule stdout-no-split).
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from pydantic import BaseModel, ConfigDict

from rivet.destinations.base import DestinationCapabilities
from rivet.destinations.deadlines import CallLimits
from rivet.destinations.staged import StagedFile
from rivet.errors import DestinationError, InternalError
from rivet.model.diskerrors import disk_errors, translated
from rivet.model.sink import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CAPABILITIES", "Options", "StdoutDestination", "open"]

CAPABILITIES: Final = DestinationCapabilities(
    name="stdout", is_listable=False, has_atomic_put=False
)

_COPY_BYTES: Final = 1024 * 1024
_URI: Final = "stdout:"


class Options(BaseModel):
    """A `stdout` destination has no keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def place(options: Options, *, base_dir: Path | None = None) -> str:  # noqa: ARG001
    """Return the URI of standard output."""
    return _URI


def open(options: Options, *, base_dir: Path | None = None) -> StdoutDestination:  # noqa: A001, ARG001
    """Open standard output; nothing is written yet."""
    return StdoutDestination()


class StdoutSink(StagedFile):
    """A staged file that is copied to standard output when it is published."""

    def __init__(self, path: Path, name: str, destination: StdoutDestination) -> None:
        super().__init__(path, name)
        self._destination = destination

    def publish(self) -> ObjectInfo:
        """Copy the file's bytes to standard output and delete it.

        Raises:
            DestinationError: The reader went away, or this is the second file.
        """
        if self._destination.is_used:
            msg = "stdout takes one file, a second one came"
            raise DestinationError(
                msg,
                hint="write to a `local` destination, or export one table without splitting",
                code="RIVET_DESTINATION_STDOUT_SPLIT",
            )
        self._destination.is_used = True
        self.prepare()
        size = self.path.stat().st_size
        try:
            with self.path.open("rb") as file:
                self._copy(file)
        except BrokenPipeError as error:
            _silence_stdout()
            msg = "the program that reads this output ended before it had read all of it"
            raise DestinationError(
                msg,
                hint="let the reader of the pipe take the whole output",
                code="RIVET_DESTINATION_BROKEN_PIPE",
            ) from error
        except OSError as error:
            raise translated(error, "cannot write to", "standard output") from error
        self.is_published = True
        self.path.unlink(missing_ok=True)
        return ObjectInfo(name=self.name, uri=self._destination.uri, size_bytes=size)

    def _copy(self, file: BinaryIO) -> None:
        # Past the buffer, whose lock a reader that does not read would hold until the process ends.
        sys.stdout.flush()
        raw = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
        while block := file.read(_COPY_BYTES):
            view = memoryview(block)
            while view:
                self.refuse_given_up()
                done = raw.write(view)
                if done is None:  # a pipe that does not block, and is full
                    select.select([], [raw], [], 1.0)
                view = view[done or 0 :]


class StdoutDestination:
    """Standard output for one file.

    Attributes:
        limits: There is none: the reader of a pipe may take its time.
    """

    def __init__(self) -> None:
        self.remarks: tuple[str, ...] = ()
        self.retries = 0
        self.limits = CallLimits()
        self._staging: Path | None = None
        self.is_used = False

    @property
    def uri(self) -> str:
        """Always `stdout:`."""
        return _URI

    def create(self, name: str) -> StdoutSink:
        """Begin a file in a private temporary folder, made on first use.

        Raises:
            DestinationError: It cannot be made.
        """
        if self._staging is None:
            with disk_errors("cannot create a folder in", tempfile.gettempdir()):
                self._staging = Path(tempfile.mkdtemp(prefix="rivet-stdout-"))
        return StdoutSink(self._staging / secrets.token_hex(8), name, self)

    def put_bytes(self, data: bytes, name: str) -> ObjectInfo:  # noqa: ARG002 - the seam's shape
        """Refuse: standard output has no manifest.

        Raises:
            InternalError: Always; callers ask `is_listable` first.
        """
        msg = f"'{name}' cannot be stored on standard output"
        raise InternalError(msg)

    def get(self, name: str, *, max_bytes: int) -> bytes | None:  # noqa: ARG002
        """Return None: nothing can be read back."""
        return None

    def stat(self, name: str) -> ObjectInfo | None:  # noqa: ARG002
        """Return None: nothing can be looked at."""
        return None

    def walk(self) -> Iterator[ObjectInfo]:
        """List nothing."""
        return iter(())

    def move(self, name: str, new_name: str) -> None:
        """Do nothing: what was written to a pipe is gone."""

    def remove(self, name: str) -> None:
        """Do nothing: what was written to a pipe is gone."""

    def close(self) -> None:
        """Drop staged files. Safe to call twice."""
        staging, self._staging = self._staging, None
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _silence_stdout() -> None:
    # otherwise the interpreter complains of the broken pipe once more when it ends
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
