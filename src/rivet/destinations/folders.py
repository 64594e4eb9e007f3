"""Folders of a local destination: made one by one, durable, and removed where they stay empty."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rivet.errors import DestinationError
from rivet.model.diskerrors import folder_errors

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_folder", "remove_empty", "sync"]

# Those that this process has made and that held nothing when it last looked: runs side by side
# share the upper ones, and the last of them to fail removes those. Adding and removing is atomic.
_made: Final[set[Path]] = set()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        DestinationError: One of them cannot be made; those that were are removed.
    """
    with folder_errors(folder):
        if folder.is_dir():
            return
    make_folder(folder.parent)
    try:
        with folder_errors(folder):
            _make(folder)
    except DestinationError:
        remove_empty(folder.parent)
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except FileNotFoundError:
        if folder.parent.is_dir():
            raise
        make_folder(folder)  # another run had made what is above in vain, and removed it
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _made.add(folder)
        sync(folder.parent)


def remove_empty(folder: Path) -> None:
    """Remove a folder and those above it, as far as this process made them and they are empty."""
    steps = [folder, *folder.parents]
    if folder in _made and not _is_removed(folder):
        _made.difference_update(steps)  # they hold something for good
        return
    for step in steps:
        if step in _made and not _is_removed(step):
            return
        _made.discard(step)


def _is_removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def sync(path: Path) -> None:
    """Make what a folder, or a file, holds durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
