"""Open a file that a user or a configuration names: regular files only, read with a limit.

A FIFO would block for ever, a device may never end or do something when it is opened, and the size
that a file system tells need not be what can be read. Must not know what a file is for: callers
turn `OSError` into their own errors.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "SHARED_HINT",
    "FileTooLargeError",
    "NotPrivateError",
    "NotRegularFileError",
    "SharedFileError",
    "check_regular",
    "is_shared",
    "make_private_folder",
    "open_regular",
    "read_regular",
    "refuse_other_than_file",
]


SHARED_HINT: Final = "run chmod o-w on it, or move it to where permissions hold"
"""The way out of a `SharedFileError`."""


class NotRegularFileError(OSError):
    """The name is that of a folder, FIFO, device or socket; `strerror` says which."""


class NotPrivateError(OSError):
    """A folder that should be this user's alone is somebody else's, or others can write to it."""


class SharedFileError(OSError):
    """Every user of the machine can write to a file that is to be trusted."""


class FileTooLargeError(OSError):
    """More bytes can be read than the limit allows."""


def open_regular(
    path: Path, *, flags: int = os.O_RDONLY, mode: int = 0o600, is_trusted: bool = False
) -> int:
    """Open a regular file without ever waiting for another process; the caller closes it.

    Args:
        path: Links are followed, unless `flags` hold `O_NOFOLLOW`.
        flags: As of open(2); the file is closed in programs that this one starts.
        mode: Permissions of a file that `O_CREAT` makes.
        is_trusted: Refuse one that every user of the machine can write to.

    Returns:
        The descriptor.

    Raises:
        NotRegularFileError: It is something else.
        SharedFileError: It cannot be trusted.
        OSError: It cannot be opened.

    Source:
        open(2), `O_NONBLOCK`: opening a FIFO does not wait for its other end.
    """
    follows = not flags & os.O_NOFOLLOW
    try:
        # Looked at first: opening a device can do something already.
        refuse_other_than_file(path.stat(follow_symlinks=follows), path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        found = os.fstat(descriptor)
        refuse_other_than_file(found, path)
        if is_trusted:
            _refuse_shared(found, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(path: Path, *, flags: int = os.O_RDONLY) -> None:
    """See that a regular file can be opened, without opening it: for databases.

    POSIX locks belong to the process: closing a descriptor of a file that SQLite or DuckDB reads in
    this process ends the locks that they hold on it, and writers change what is being read.

    Args:
        path: Links are followed, unless `flags` hold `O_NOFOLLOW`.
        flags: As of open(2).

    Raises:
        NotRegularFileError: It is something else.
        OSError: It is not there, or cannot be opened.

    Source:
        SQLite, "How To Corrupt An SQLite Database File", 2.2; fcntl(2), "Record locking".
    """
    refuse_other_than_file(path.stat(follow_symlinks=not flags & os.O_NOFOLLOW), path)
    wanted = os.R_OK | (os.W_OK if flags & os.O_RDWR else 0)
    if not os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids):
        # It says why. What fails opens nothing, and so closes nothing.
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))


def _refuse_shared(found: os.stat_result, path: Path) -> None:
    if is_shared(found):
        raise SharedFileError(0, "every user of this machine can write to it", str(path))


def is_shared(found: os.stat_result) -> bool:
    """Whether every user of the machine can write to a file; not known, so False, on Windows."""
    return os.name == "posix" and bool(found.st_mode & stat.S_IWOTH)


def read_regular(
    path: Path, *, max_bytes: int, flags: int = os.O_RDONLY, is_trusted: bool = False
) -> bytes:
    """Return the bytes of a regular file; `flags` and `is_trusted` as of `open_regular`.

    Raises:
        NotRegularFileError: It is something else.
        SharedFileError: It cannot be trusted.
        FileTooLargeError: It holds more than `max_bytes`.
        OSError: It cannot be read.
    """
    with open(open_regular(path, flags=flags, is_trusted=is_trusted), "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        whole, rest = divmod(max_bytes, 1024 * 1024)
        limit = f"{max_bytes:,} bytes" if rest else f"{whole:,} MB"
        raise FileTooLargeError(0, f"it is larger than {limit}", str(path))
    return data


def make_private_folder(folder: Path) -> None:
    """Make a folder that only this user may enter, or see that the one that is there is private.

    Args:
        folder: Its parent is there.

    Raises:
        NotPrivateError: It is a link or no folder, belongs to another user, or others can write to
            it: they could put links and databases of theirs in place of ours.
        OSError: It cannot be made.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivateError(0, "it is a link or a file, not a folder", str(folder))
    if os.name != "posix":
        return
    if found.st_uid != os.geteuid():
        raise NotPrivateError(0, "it belongs to another user", str(folder))
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise NotPrivateError(0, "other users can write to it", str(folder))


_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a link"),
)


def refuse_other_than_file(found: os.stat_result, path: Path) -> None:
    """Say of what was found under a name whether it is a regular file.

    Raises:
        NotRegularFileError: It is something else.
    """
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
    raise NotRegularFileError(0, f"it is {kind}, not a file", str(path))
