"""Launcher interface: the seam between the watcher of child processes and the ways to start one."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Order:
    """What to start.

    The three descriptors belong to the caller, who closes its copies after `launch`.

    Attributes:
        key: The caller's number for this child.
        command: The whole command line, program first.
        environment: The child's whole environment; names the descriptors it inherits.
        directory: The child's working directory.
        stdout: Becomes the child's standard output; its standard input is the null device.
        stderr: Becomes the child's standard error.
        inherited: Descriptors the child gets under the very same numbers, as `environment` says.
    """

    key: int
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    stdout: int
    stderr: int
    inherited: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended; exactly one of the three is set.

    Attributes:
        code: Its exit code.
        signal: The signal that ended it.
        lost: Why neither is known: it could not be waited for, or its starter died.
    """

    code: int | None = None
    signal: int | None = None
    lost: str | None = None

    @property
    def exit_code(self) -> int:
        """The code a shell would show: 128 + n for signal n; 1 where nothing is known."""
        if self.signal is not None:
            return 128 + self.signal
        return 1 if self.code is None else self.code

    @property
    def signal_name(self) -> str:
        """Such as `SIGKILL`; the number where the system has no name for it."""
        try:
            return signal.Signals(self.signal or 0).name
        except ValueError:
            return f"signal {self.signal}"


@dataclass(frozen=True, slots=True)
class Launched:
    """A child that runs, or ran: its process number is good until its ending was told."""

    key: int
    pid: int


class Launcher(Protocol):
    """Starts children, each the leader of a session of its own, and tells how they end.

    Used by one thread. Every launched child is waited for by the launcher at once, whatever order
    they end in, so that none stays behind as a zombie.
    """

    def launch(self, order: Order) -> Launched:
        """Start a child.

        Raises:
            OSError: It could not be started; nothing of it is left.
        """
        ...

    def fileno(self) -> int:
        """Return a descriptor that is readable when `endings` has something to tell."""
        ...

    def endings(self) -> list[tuple[int, Ending]]:
        """Return (key, ending) of the children that ended since the last call; never waits."""
        ...

    def send_signal(self, key: int, number: int) -> None:
        """Signal a child and its descendants in its session; nothing where it has ended."""
        ...

    def close(self) -> None:
        """Give up what is held. Children that still run are killed and waited for."""
        ...
