"""What an operating-system error on a file means, as one sentence and a hint.

Shared by everything that writes files: the formats and the local destination. It opens nothing.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import DestinationAuthError, DestinationError, DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FREE_ROOM: Final = "free some room, or point the destination to another disk, and run again"
_ALLOW: Final = "give this user the right to write there, or choose another path"

_MEANINGS: Final[dict[int, tuple[type[DestinationError], str, str, str]]] = {
    errno.ENOSPC: (DestinationError, "RIVET_DESTINATION_FULL", "the disk is full", _FREE_ROOM),
    errno.EDQUOT: (
        DestinationError,
        "RIVET_DESTINATION_FULL",
        "the user's disk quota is used up",
        _FREE_ROOM,
    ),
    errno.EFBIG: (
        DestinationError,
        "RIVET_DESTINATION_FULL",
        "the file is larger than the file system or a limit allows",
        "set `max_file_size` on the export to write several smaller files",
    ),
    errno.EACCES: (DestinationAuthError, "RIVET_DESTINATION_AUTH", "permission denied", _ALLOW),
    errno.EPERM: (DestinationAuthError, "RIVET_DESTINATION_AUTH", "permission denied", _ALLOW),
    errno.EROFS: (
        DestinationAuthError,
        "RIVET_DESTINATION_AUTH",
        "the file system is read-only",
        "mount it for writing, or choose another path",
    ),
    errno.ENOENT: (
        DestinationError,
        "RIVET_DESTINATION_ERROR",
        "the file or its folder is not there",
        "check that nothing removes files from the destination while an export runs",
    ),
    errno.ENOTDIR: (
        DestinationError,
        "RIVET_DESTINATION_ERROR",
        "a part of the path is a file, not a folder",
        "move that file away, or choose another path",
    ),
    errno.ENAMETOOLONG: (
        DestinationError,
        "RIVET_DESTINATION_ERROR",
        "the name is too long for the file system",
        "give the export a shorter name",
    ),
    errno.EMFILE: (
        DestinationUnavailableError,
        "RIVET_DESTINATION_UNAVAILABLE",
        "this process may open no more files",
        "raise the limit of open files (`ulimit -n`)",
    ),
    errno.EIO: (
        DestinationUnavailableError,
        "RIVET_DESTINATION_UNAVAILABLE",
        "the disk reported an input/output error",
        "check the disk before running again",
    ),
}


# A folder that cannot be made: what is named is not there yet, so nothing can have removed it.
_FOLDERS: Final[dict[int, tuple[str, str]]] = {
    errno.EEXIST: (
        "there is a file of that name, not a folder",
        "move that file away, or choose another path",
    ),
    errno.ENOENT: ("this file system takes no folder there", "choose another path"),
    errno.ENAMETOOLONG: ("the name is too long for the file system", "choose a shorter path"),
}


@contextmanager
def folder_errors(path: Path) -> Iterator[None]:
    """As `disk_errors`, around the making of a folder.

    Raises:
        DestinationError: It cannot be made.
    """
    try:
        with disk_errors("cannot create the folder", path):
            yield
    except DestinationError as error:
        cause = error.__cause__
        told = _FOLDERS.get(cause.errno or 0) if isinstance(cause, OSError) else None
        if told is None:
            raise
        sentence, hint = told
        msg = f"cannot create the folder {path}: {sentence}"
        raise DestinationError(msg, hint=hint, path=str(path)) from cause


@contextmanager
def disk_errors(doing: str, path: Path | str) -> Iterator[None]:
    """Translate `OSError` at the border.

    Args:
        doing: What failed, such as `cannot write`.
        path: The file or folder, for the message.

    Raises:
        DestinationAuthError: Permission denied, or a read-only file system.
        DestinationUnavailableError: A failure that may pass.
        DestinationError: Anything else; a full disk has the code `RIVET_DESTINATION_FULL`.
    """
    try:
        yield
    except OSError as error:
        raise translated(error, doing, path) from error


def translated(error: OSError, doing: str, path: Path | str) -> DestinationError:
    """Return the Rivet error that says what an `OSError` means."""
    known = _MEANINGS.get(error.errno or 0)
    if known is None:
        reason = error.strerror or type(error).__name__
        return DestinationError(f"{doing} {path}: {reason.lower()}", path=str(path))
    cls, code, sentence, hint = known
    return cls(f"{doing} {path}: {sentence}", hint=hint, code=code, path=str(path))
