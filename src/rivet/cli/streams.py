"""Standard streams that are closed, full or broken: no verdict of a run depends on them.

A closed descriptor is filled before any file is opened: the next one, perhaps a database, would
take its number, and words would be written into it.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

__all__ = ["OutputLostError", "secure_streams"]

_STDOUT, _STDERR = 1, 2


class OutputLostError(OSError):
    """Standard output does not take what was to go there; not for a reader that went away."""


def secure_streams() -> None:
    """Make the three standard streams usable, whatever they were opened on.

    What standard error does not take is dropped. What standard output does not take is an
    `OutputLostError`, or a `BrokenPipeError` where its reader went away.
    """
    for descriptor in (0, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            # Takes the lowest free number. It cannot be written to: a closed stream stays one.
            os.open(os.devnull, os.O_RDONLY)
    sys.stdout = _over(_Output(_STDOUT, "w", closefd=False), sys.stdout, "strict")
    sys.stderr = _over(_Remarks(_STDERR, "w", closefd=False), sys.stderr, "backslashreplace")


def _over(raw: io.FileIO, old: TextIO | None, errors: str) -> io.TextIOWrapper:
    is_unbuffered = errors != "strict" or raw.isatty()
    encoding = getattr(old, "encoding", None) or "utf-8"
    errors = getattr(old, "errors", None) or errors
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=is_unbuffered
    )


class _Output(io.FileIO):
    @override
    def write(self, data: bytes) -> int:  # type: ignore[override]
        return _attempt(super().write, data)


def _attempt(write: Callable[[bytes], int], data: bytes) -> int:
    try:
        return write(data)
    except BrokenPipeError as error:
        # Without its number, of which the command line's library makes an exit code of its own.
        raise BrokenPipeError(error.strerror) from error
    except OSError as error:
        raise OutputLostError(error.errno, error.strerror) from error


class _Remarks(io.FileIO):
    @override
    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError:
            return len(data)
