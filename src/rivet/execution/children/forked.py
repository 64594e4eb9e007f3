"""Launcher of forked child processes: a preloaded fork server starts them (Linux).

A plain start of the interpreter with its imports costs half a second of processor time, a fork of
a process that has them milliseconds. The server is executed, not forked, so that no thread,
terminal or state handle of this process gets into it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from rivet.destinations import destination_names
from rivet.execution.children.forkprocess import (
    ForkingUnavailable,
    ServerProcess,
    is_available,
)
from rivet.execution.children.forkwire import ENTRY
from rivet.execution.children.launch import Ending, Launched
from rivet.formats import format_names
from rivet.sources import ENGINES, canonical_engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.execution.children.forkwire import Message
    from rivet.execution.children.launch import Order

__all__ = ["ForkLauncher", "ForkingUnavailable", "is_available", "modules_for"]

_KILL_LIMIT_S: Final = 10.0
_TO_GROUP: Final = 4  # PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9


def modules_for(
    engines: Sequence[str],
    *,
    formats: Sequence[str] | None = None,
    destinations: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Return the modules of engines, formats and destinations; None is all of them.

    Raises:
        UnknownEngineError: There is no such engine.
    """
    kinds = format_names() if formats is None else formats
    stores = destination_names() if destinations is None else destinations
    return (
        *(ENGINES[canonical_engine(name)].module for name in engines),
        *(f"rivet.formats.{name}" for name in kinds),
        *(f"rivet.destinations.{name}" for name in stores),
    )


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    pidfd: int

    def has_ended(self) -> bool:
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def signal(self, number: int) -> None:
        """Signal its process group; itself alone while it has not made one yet."""
        with contextlib.suppress(ProcessLookupError):
            try:
                signal.pidfd_send_signal(self.pidfd, number, None, _TO_GROUP)
            except ProcessLookupError:
                signal.pidfd_send_signal(self.pidfd, number)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._signal_by_number(number)

    def _signal_by_number(self, number: int) -> None:
        """Do the same on an older kernel: the number is the child's while it has not ended."""
        if self.has_ended():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            signal.pidfd_send_signal(self.pidfd, number)


class ForkLauncher:
    """A `Launcher` whose children are forked from one preloaded server."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._is_closed = False
        self._is_loss_known = False
        self._children: dict[int, _Child] = {}
        self._untold: list[tuple[int, Ending]] = []
        # One descriptor for all there is to wait for; the bell rings for what was read already.
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watch = select.epoll()
        self._watch.register(self._bell, select.EPOLLIN)
        self._watch.register(server.fileno(), select.EPOLLIN)

    @classmethod
    def start(
        cls,
        engines: Sequence[str],
        *,
        formats: Sequence[str] | None = None,
        destinations: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Execute a server and return at once, while it imports.

        Args:
            engines: The engines of the exports to come.
            formats: Their formats; None is all.
            destinations: Their destinations; None is all.
            environment: What its imports see; None is this process's own. A child gets the one of
                its order, but what libraries read once, on import, they read here.

        Raises:
            UnknownEngineError: There is no such engine.
            OSError: It could not be started.
        """
        modules = modules_for(engines, formats=formats, destinations=destinations)
        return cls(ServerProcess.start(modules, os.environ if environment is None else environment))

    @property
    def server_pid(self) -> int:
        """The process the children are forked from."""
        return self._server.pid

    def wait_ready(self) -> None:
        """Wait until the server has its imports, at most 30 s; `launch` does it otherwise.

        Raises:
            ForkingUnavailable: It cannot be used; the reason is its `strerror`.
        """
        self._server.wait_ready()

    def launch(self, order: Order) -> Launched:
        """Start a child; the first call waits until the server has its imports, at most 30 s.

        Raises:
            ForkingUnavailable: There is no server, it is silent for 30 s, or the command is not
                one of `python -P -m rivet`.
            OSError: The fork itself failed; nothing of the child is left.
        """
        command = list(order.command)
        if tuple(command[1 : 1 + len(ENTRY)]) != ENTRY:
            raise ForkingUnavailable(errno.ENOEXEC, "only Rivet itself can be forked")
        message: Message = {
            "key": order.key,
            "command": command,
            "environment": dict(order.environment),
            "directory": str(order.directory),
            "inherited": list(order.inherited),
        }
        descriptors = (order.stdout, order.stderr, *order.inherited)
        try:
            reply, received = self._server.ask(message, descriptors, self._take)
        except ForkingUnavailable:
            self._watch_orphans()
            raise
        if "errno" in reply:
            raise OSError(reply["errno"], os.strerror(reply["errno"]))
        if not received:  # this process may not open one more descriptor
            self._server.tell({"kill": order.key})
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self._children[order.key] = _Child(int(reply["pid"]), received[0])
        return Launched(order.key, int(reply["pid"]))

    def fileno(self) -> int:
        """Return a descriptor that is readable when `endings` has something to tell."""
        return self._watch.fileno()

    def endings(self) -> list[tuple[int, Ending]]:
        """Return (key, ending) of the children that ended since the last call; never waits."""
        for message in self._server.arrivals():
            self._take(message)
        if self._server.lost is not None:
            self._watch_orphans()
            self._bury_orphans()
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        told, self._untold = self._untold, []
        return told

    def send_signal(self, key: int, number: int) -> None:
        """Signal a child and its descendants in its session; nothing where it has ended."""
        if key in self._children:
            self._children[key].signal(number)

    def close(self) -> None:
        """Kill the children that still run, wait for them, and end the server."""
        if self._is_closed:
            return
        self._is_closed = True
        for child in self._children.values():
            child.signal(signal.SIGKILL)
        poll = select.poll()
        poll.register(self._watch, select.POLLIN)
        deadline = time.monotonic() + _KILL_LIMIT_S
        while self._children and (left := deadline - time.monotonic()) > 0:
            poll.poll(left * 1000)
            self.endings()
        self._server.close()
        for key in list(self._children):
            self._forget(key)
        self._watch.close()
        os.close(self._bell)

    def _take(self, message: Message) -> None:
        key = int(message["key"])
        if key in self._children:  # else it was killed at once, and its launch has failed
            self._forget(key)
            told = {how: message[how] for how in ("code", "signal", "lost") if how in message}
            self._tell(key, Ending(**told))

    def _tell(self, key: int, ending: Ending) -> None:
        self._untold.append((key, ending))
        os.eventfd_write(self._bell, 1)

    def _forget(self, key: int) -> None:
        os.close(self._children.pop(key).pidfd)  # which takes it out of the watch, too

    def _watch_orphans(self) -> None:
        """Kill the children of a server that is gone; their ends are seen from here on."""
        if self._is_loss_known:
            return
        self._is_loss_known = True
        for child in self._children.values():
            child.signal(signal.SIGKILL)
            self._watch.register(child.pidfd, select.EPOLLIN)

    def _bury_orphans(self) -> None:
        for key, child in list(self._children.items()):
            if child.has_ended():
                with contextlib.suppress(ChildProcessError):  # ours where we are process 1
                    os.waitpid(child.pid, os.WNOHANG)
                self._forget(key)
                lost = f"the process that started it {self._server.lost}"
                self._tell(key, Ending(lost=lost))
