"""What may lie under a name that somebody gives: everything that is no plain file of a fair size.

Each maker puts one thing under a path that is free. `precious` beside it must stay as it is.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOBODY = 65534
HUGE_BYTES = 10 * 2**30
PRECIOUS = "precious"


def fifo(path: Path) -> None:
    """Whoever opens it waits for another process."""
    os.mkfifo(path)


def zero(path: Path) -> None:
    """Bytes without end, behind a link."""
    path.symlink_to("/dev/zero")


def full(path: Path) -> None:
    """A device that takes no byte, behind a link."""
    path.symlink_to("/dev/full")


def device(path: Path) -> None:
    """A device itself; behind a link where this user may make none."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        path.symlink_to("/dev/null")


def listening(path: Path) -> None:
    """A local socket."""
    folder = os.open(path.parent, os.O_RDONLY)  # a name of a socket has a hundred characters
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def link(path: Path) -> None:
    """Somebody's file, behind a link."""
    (path.parent / PRECIOUS).write_text(PRECIOUS)
    path.symlink_to(PRECIOUS)


def dangling(path: Path) -> None:
    """A link to what is not there."""
    path.symlink_to("nowhere")


def folder(path: Path) -> None:
    """An empty folder."""
    path.mkdir(mode=0o700)


def huge(path: Path) -> None:
    """Ten gigabytes of nothing."""
    with path.open("wb") as file:
        file.truncate(HUGE_BYTES)
    path.chmod(0o600)


def empty(path: Path) -> None:
    """Not one byte."""
    path.touch(mode=0o600)


KINDS: dict[str, Callable[[Path], None]] = {
    make.__name__: make
    for make in (fifo, zero, full, device, listening, link, dangling, folder, huge, empty)
}


def assert_untouched(path: Path, kind: str, was: os.stat_result) -> None:
    """Assert that what lies under a name, and what it leads to, is what was put there.

    Args:
        path: The name.
        kind: Which of `KINDS`.
        was: What `lstat` told then.
    """
    found = path.lstat()
    told = (path, kind, was, found)
    assert (found.st_ino, found.st_mode, found.st_uid) == (was.st_ino, was.st_mode, was.st_uid), (
        told
    )
    if kind in {"huge", "empty"}:
        assert found.st_size == was.st_size, told
        assert found.st_blocks == was.st_blocks, told
    if kind == "link":
        assert (path.parent / PRECIOUS).read_text() == PRECIOUS, told
    if kind == "dangling":
        assert not os.path.lexists(path.parent / "nowhere"), told
