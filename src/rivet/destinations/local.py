"""A folder of this machine.

A part is written under a staged name inside a folder of the destination itself, so that publishing
it is one rename on one file system: fsync the file, link it under its final name (which fails where
that name is taken), fsync the folder. Nobody ever sees a torn file under a final name, power loss
included.

The staging folder is locked while its process lives. One whose lock is free belongs to a process of
this machine that died, and is removed when the destination is opened the next time.

Source: POSIX `link` and `rename`; open(2), fsync(2) on folders; docs/adr on the commit order.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import socket
import stat
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from rivet.destinations.base import DestinationCapabilities
from rivet.destinations.deadlines import CallLimits
from rivet.destinations.folders import make_folder, remove_empty, sync, within
from rivet.destinations.staged import StagedFile
from rivet.errors import DestinationError, ObjectExistsError
from rivet.model.diskerrors import disk_errors
from rivet.model.sink import ObjectInfo
from rivet.openfile import FileTooLargeError, read_regular, refuse_other_than_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CAPABILITIES", "LocalDestination", "Options", "open"]

# Long: the fsync of a large part may have to wait for all that others have written before.
CAPABILITIES: Final = DestinationCapabilities(
    name="local", is_listable=True, has_atomic_put=True, call_timeout_s=600.0
)

# What `_staged_name` makes, and nothing else, is ever swept.
_STAGED: Final = re.compile(r"\.rivet-(.+)-[0-9]+-[0-9a-f]{8}\.tmp")
_OWN: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
_TEMPORARY_SUFFIX: Final = ".tmp"
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


class Options(BaseModel):
    """Keys of a `local` destination."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(min_length=1, description="Folder the files go to; may hold placeholders.")


def open(options: Options, *, base_dir: Path | None = None) -> LocalDestination:  # noqa: A001
    """Make the folder where it is missing and prove that it can be written.

    Args:
        options: `path` without placeholders.
        base_dir: What a relative path is relative to; None is the working directory.

    Raises:
        DestinationAuthError: The folder cannot be made or written.
        DestinationError: Part of the path is a file, or the disk is full.
    """
    if os.name != "posix":
        msg = "files on a disk of this system cannot be written: locks need Linux or macOS"
        raise DestinationError(msg, hint="run Rivet in WSL or in a container")
    root = _root(options, base_dir)
    try:
        within(root, partial(_probe, root))
    except DestinationError:
        remove_empty(root)
        raise
    return LocalDestination(root)


def place(options: Options, *, base_dir: Path | None = None) -> str:
    """Return what `uri` would be, without a look at the disk."""
    return f"file://{_root(options, base_dir)}"


def _root(options: Options, base_dir: Path | None) -> Path:
    return Path(os.path.normpath((base_dir or Path.cwd()).absolute() / options.path))


class LocalSink(StagedFile):
    """A staged file of a local destination: linked under its final name where that is free."""

    def __init__(self, path: Path, name: str, target: Path, prefix: str) -> None:
        super().__init__(path, name)
        self._target = target
        self._prefix = prefix

    def publish(self) -> ObjectInfo:
        """Link the file under its final name and sync the folder.

        Raises:
            ObjectExistsError: The name is taken; nothing was changed.
            DestinationError: The write failed; nothing is visible under the name.
        """
        with disk_errors("cannot publish", self._target):
            self.prepare()
            make_folder(self._target.parent)
            self.refuse_given_up()
            _move_without_overwrite(self.path, self._target)
            self.is_published = True
            sync(self._target.parent)
            size = self._target.stat().st_size
        return ObjectInfo(name=self.name, uri=f"{self._prefix}/{self.name}", size_bytes=size)


class LocalDestination:
    """The folder of one export; holds a staging folder of its own from first use to `close`.

    One that was made for it and holds nothing at the end is removed.

    Attributes:
        limits: How long its calls may take.
    """

    def __init__(self, root: Path) -> None:
        self.remarks: tuple[str, ...] = ()
        self.retries = 0
        self.limits = CallLimits(CAPABILITIES.call_timeout_s)
        self._root = root
        self._making = threading.Lock()
        self._staging: Path | None = None
        self._lock: int | None = None
        self._is_closed = False

    @property
    def uri(self) -> str:
        """`file://` and the absolute path, unescaped, as manifests have it."""
        return f"file://{self._root}"

    def _staging_dir(self) -> Path:
        """Return a folder inside the destination, its name hidden, made on first use."""
        with self._making:
            while (staging := self._staging) is None:
                self._refuse_closed()
                folder = self._root / _staged_name()
                within(self._root, partial(_make_private, folder))
                with suppress(FileNotFoundError, BlockingIOError):  # swept before it was locked
                    lock = _lock(folder)
                    if folder.is_dir():
                        self._staging, self._lock = folder, lock
                    elif lock is not None:
                        os.close(lock)
        if self._is_closed:  # meanwhile, by who did not wait for it
            self.close()
            self._refuse_closed()
        return staging

    def _refuse_closed(self) -> None:
        if self._is_closed:
            msg = f"{self._root}: nothing is written any more, the destination was closed"
            raise DestinationError(msg)

    def create(self, name: str) -> LocalSink:
        """Begin a file in the staging folder.

        Raises:
            DestinationError: The name lies outside the folder, or the file cannot be created.
        """
        target = self._target(name)
        staged = self._staging_dir() / f".{target.name}.{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}"
        return LocalSink(staged, name, target, self.uri)

    def put_bytes(self, data: bytes, name: str) -> ObjectInfo:
        """Store or replace a small file: staged, fsynced, renamed over the old one.

        Raises:
            DestinationError: The write failed; the old file, if any, is untouched.
        """
        target = self._target(name)
        staged = self._staging_dir() / f".{target.name}.{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}"
        with disk_errors("cannot write", target):
            try:
                _write_synced(staged, data)
                make_folder(target.parent)
                self._refuse_closed()
                staged.replace(target)
            finally:
                staged.unlink(missing_ok=True)
            sync(target.parent)
        return self._info(name, len(data))

    def get(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return a file's bytes, None where it does not exist.

        Raises:
            DestinationError: It cannot be read or is larger than `max_bytes`.
        """
        target = self._target(name)
        with disk_errors("cannot read", target):
            try:
                return read_regular(target, max_bytes=max_bytes, flags=_OWN)
            except FileNotFoundError:
                return None
            except FileTooLargeError as error:
                msg = f"cannot read {target}: it is larger than {max_bytes:,} bytes"
                code = "RIVET_DESTINATION_TOO_LARGE"
                raise DestinationError(msg, code=code, path=str(target)) from error

    def stat(self, name: str) -> ObjectInfo | None:
        """Return a file's size, None where there is no such file."""
        target = self._target(name)
        with disk_errors("cannot look at", target):
            try:
                found = target.lstat()
            except FileNotFoundError:
                return None
        return self._info(name, found.st_size) if stat.S_ISREG(found.st_mode) else None

    def walk(self) -> Iterator[ObjectInfo]:
        """List all files below the folder in name order, staged ones excluded."""
        yield from self._walk(within(self._root, partial(_listed, self._root)))

    def _walk(self, entries: list[os.DirEntry[str]]) -> Iterator[ObjectInfo]:
        for entry in entries:
            if _is_staged(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(_listed(Path(entry.path)))
            elif entry.is_file(follow_symlinks=False):
                relative = Path(entry.path).relative_to(self._root).as_posix()
                yield self._info(relative, entry.stat().st_size)

    def move(self, name: str, new_name: str) -> None:
        """Rename a file inside the folder; nothing is overwritten.

        Raises:
            ObjectExistsError: The new name is taken; nothing was changed.
            DestinationError: It cannot be moved.
        """
        source, target = self._target(name), self._target(new_name)
        with disk_errors("cannot move", source):
            make_folder(target.parent)
            _move_without_overwrite(source, target)
            sync(target.parent)
            sync(source.parent)

    def remove(self, name: str) -> None:
        """Remove one file; one that does not exist is not an error.

        Raises:
            DestinationError: It cannot be removed, or it is a link or anything else that was never
                written here.
        """
        target = self._target(name)
        with disk_errors("cannot remove", target):
            with suppress(FileNotFoundError):
                refuse_other_than_file(target.lstat(), target)
                target.unlink()
            if target.parent.is_dir():
                sync(target.parent)

    def close(self) -> None:
        """Drop the staging folder and what was never stored. Safe to call twice."""
        self._is_closed = True
        staging, self._staging = self._staging, None
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)
        remove_empty(self._root)

    def _info(self, name: str, size: int) -> ObjectInfo:
        return ObjectInfo(name=name, uri=f"{self.uri}/{name}", size_bytes=size)

    def _target(self, name: str) -> Path:
        steps = PurePosixPath(name)
        if not name or steps.is_absolute() or ".." in steps.parts or "\0" in name or "\\" in name:
            msg = f"'{name}' is not a name inside the destination"
            raise DestinationError(msg, code="RIVET_DESTINATION_NAME")
        # The prefix may be a link of its user's; what lies below it is ours and holds none.
        for above in steps.parents[:-1]:
            if (self._root / above).is_symlink():
                msg = f"'{name}' is not a name inside the destination: {above} is a link"
                raise DestinationError(msg, code="RIVET_DESTINATION_NAME")
        return self._root / steps


def _is_staged(name: str) -> bool:
    return name.startswith(".") and name.endswith(_TEMPORARY_SUFFIX)


def _staged_name() -> str:
    return f".rivet-{_host()}-{os.getpid()}-{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}"


def _host() -> str:
    return socket.gethostname()


def _is_own(name: str) -> bool:
    """Whether a name is a staging folder's or probe's of this machine, which alone sees locks."""
    match = _STAGED.fullmatch(name)
    return match is not None and match[1] == _host()


def _make_private(folder: Path) -> None:
    with disk_errors("cannot create", folder):
        folder.mkdir(mode=0o700)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with disk_errors("cannot list", folder):
        return sorted(os.scandir(folder), key=lambda entry: entry.name)


def _probe(root: Path) -> None:
    probe = root / _staged_name()
    with disk_errors("cannot write to", root):
        try:
            probe.write_bytes(b"rivet")
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
    _sweep(root)


def _lock(folder: Path) -> int | None:
    """Lock a staging folder; None where the file system has no locks.

    Raises:
        BlockingIOError: It is locked already.
        OSError: It is gone or cannot be opened.
    """
    import fcntl  # not on every system; `open` says so in words

    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(root: Path) -> None:
    with disk_errors("cannot list", root), os.scandir(root) as entries:
        found = [Path(entry.path) for entry in entries if _is_own(entry.name)]
    for folder in found:
        with suppress(OSError):  # locked: its process lives; or no folder, but a probe or a link
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _move_without_overwrite(path: Path, target: Path) -> None:
    try:
        os.link(path, target, follow_symlinks=False)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _claim_and_rename(path, target)
    else:
        path.unlink()


def _claim_and_rename(path: Path, target: Path) -> None:
    # File systems without hard links (exFAT, some network mounts): names are unique to a claim,
    # so nobody else makes this name between the look and the rename.
    if target.exists():
        raise _exists(target)
    path.rename(target)


def _exists(target: Path) -> ObjectExistsError:
    msg = f"{target} is already there; it was left as it is"
    return ObjectExistsError(msg, hint="run again: every run writes under new names")
