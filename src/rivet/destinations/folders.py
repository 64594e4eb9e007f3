"""Folders of a local destination: made one by one, durable, and removed where they stay empty."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from rivet.errors import DestinationError
from rivet.model.diskerrors import folder_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["left_as_found", "make_folder", "remove_empty", "sync", "within"]

T = TypeVar("T")

# Those that this process has made and that held nothing when it last looked: runs side by side
# share the upper ones, and the last of them to fail removes those. Adding and removing is atomic.
_made: Final[set[Path]] = set()
# Another run can remove a folder between any two steps, and does so once for each of its failures.
_MOST_TRIES: Final = 50


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        DestinationError: One of them cannot be made; those that were are removed.
    """
    for left in reversed(range(_MOST_TRIES)):
        with folder_errors(folder):
            if folder.is_dir():
                return
        make_folder(folder.parent)
        try:
            with folder_errors(folder):
                if _is_made(folder, is_last=not left):
                    return
        except DestinationError:
            remove_empty(folder.parent)
            raise


def _is_made(folder: Path, *, is_last: bool) -> bool:
    """Make a folder; False where another run made or removed it, or what is above, meanwhile."""
    try:
        folder.mkdir()
        _made.add(folder)
        sync(folder.parent)
    except FileNotFoundError:
        if is_last:
            raise
        return False
    except FileExistsError:
        if not os.path.isdir(folder) and (is_last or os.path.lexists(folder)):  # noqa: PTH112
            raise
        return False
    return True


def within(folder: Path, act: Callable[[], T]) -> T:
    """Make a folder and act in it: again where another run had made it and removed it meanwhile.

    Raises:
        DestinationError: It cannot be made, or what is done in it failed.
    """
    for left in reversed(range(_MOST_TRIES)):
        make_folder(folder)
        try:
            return act()
        except DestinationError as error:
            if not left or not isinstance(error.__cause__, FileNotFoundError):
                raise
    raise AssertionError  # the last of them has returned or raised


@contextmanager
def left_as_found(folders: Iterable[Path]) -> Iterator[None]:
    """Remove what other processes made of these folders and left empty, with those above them.

    Each process removes what it made alone: of a folder that they share, the one that made it could
    not while another had something in it.
    """
    steps = {step for folder in folders for step in (folder, *folder.parents)}
    absent = {step for step in steps if not os.path.lexists(step)}
    yield
    for step in sorted(absent, key=lambda one: len(one.parts), reverse=True):
        with suppress(OSError):
            step.rmdir()


def remove_empty(folder: Path) -> None:
    """Remove a folder and those above it, as far as this process made them and they are empty."""
    steps = [folder, *folder.parents]
    if folder in _made and not _is_removed(folder):
        if _holds_files(folder):
            _made.difference_update(steps)  # for good
        return
    for step in steps:
        if step in _made and not _is_removed(step):
            return


def _is_removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
    if os.path.lexists(folder):
        return False
    _made.discard(folder)
    if os.path.lexists(folder):  # made anew by another run, perhaps before it was discarded
        _made.add(folder)
        return False
    return True


def _holds_files(folder: Path) -> bool:
    """Whether more is in it than what another run has begun, which may come to nothing."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return any(not entry.name.startswith(".") for entry in entries)
    return False


def sync(path: Path) -> None:
    """Make what a folder, or a file, holds durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
