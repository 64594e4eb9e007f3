"""Fork server: takes orders, forks, and tells at once how each child process ended.

It runs in a process of its own that has one thread, no connection and no open file but its end of
the conversation. It sets no signal handler, so that its children have none to undo: it learns of
their ends from pidfds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.execution.children.forkwire import DisconnectedError, receive, send

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from rivet.execution.children.forkwire import Message

__all__ = ["LINGER_S", "Birth", "ForkServer"]

LINGER_S: Final = 8.0
"""How long a server whose launcher is gone waits for its children, which stop by themselves."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a child finds when it comes out of the fork; every descriptor is its own.

    Attributes:
        server_pid: Its parent, which may have died meanwhile.
        command: The whole command line, program first.
        environment: What its environment is to be.
        directory: A descriptor of its working directory.
        numbers: Which numbers `descriptors` are to get, in their order.
        descriptors: Standard output, standard error, and the inherited ones.
        sigchld: What SIGCHLD did before the server began.
    """

    server_pid: int
    command: Sequence[str]
    environment: dict[str, str]
    directory: int
    numbers: tuple[int, ...]
    descriptors: tuple[int, ...]
    sigchld: Any


class ForkServer:
    """Serves one launcher until it is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.settimeout(0)
        self._pid = os.getpid()
        self._children: dict[int, tuple[int, int]] = {}  # key: pid, pidfd
        self._is_alone = False
        self._unsent: deque[tuple[Message, tuple[int, ...]]] = deque()
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        # A launcher's parent may have left it ignored; then no child could be waited for.
        self._sigchld = signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def serve(self) -> Birth | None:
        """Serve; the call returns once here, and once more in every child.

        Returns:
            In a child, what it is to become. In the server, None: the launcher is gone, and so
            are the children, or `LINGER_S` have passed.
        """
        with contextlib.suppress(DisconnectedError):
            self._send({"ready": self._pid})
            while True:
                birth = self._step(None)
                if birth is not None:
                    return birth
        self._is_alone = True
        self._selector.unregister(self._connection)
        self._connection.close()
        deadline = time.monotonic() + LINGER_S
        while self._children and (left := deadline - time.monotonic()) > 0:
            self._step(left)
        return None

    def _step(self, timeout_s: float | None) -> Birth | None:
        for ready, events in self._selector.select(timeout_s):
            if ready.fileobj is not self._connection:
                self._reap(ready.data)
                continue
            if events & selectors.EVENT_WRITE:
                self._flush()
            if events & selectors.EVENT_READ and (birth := self._take_order()):
                return birth
        return None

    def _take_order(self) -> Birth | None:
        try:
            message, descriptors = receive(self._connection)
        except BlockingIOError:
            return None
        except OSError as error:
            self._refuse(error)
            return None
        if "kill" in message:
            self._kill(int(message["kill"]))
            return None
        try:
            return self._fork(message, descriptors)
        except OSError as error:
            self._refuse(error)
            return None
        finally:
            if os.getpid() == self._pid:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _fork(self, message: Message, descriptors: list[int]) -> Birth | None:
        numbers = (1, 2, *message["inherited"])
        if len(descriptors) != len(numbers):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        directory = os.open(message["directory"], os.O_PATH | os.O_DIRECTORY)
        try:
            pid = os.fork()
            if pid == 0:
                return self._born(message, directory, numbers, descriptors)
        finally:
            if os.getpid() == self._pid:
                os.close(directory)
        try:
            pidfd = os.pidfd_open(pid)
            copy = os.dup(pidfd)
        except OSError:
            os.kill(pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
            os.waitpid(pid, 0)
            raise
        key = int(message["key"])
        self._children[key] = (pid, pidfd)
        self._selector.register(pidfd, selectors.EVENT_READ, key)
        self._send({"pid": pid}, (copy,))
        return None

    def _born(
        self, message: Message, directory: int, numbers: tuple[int, ...], descriptors: list[int]
    ) -> Birth:
        # The objects let go of the server's descriptors; the child closes those it does not keep.
        self._selector.close()
        self._connection.detach()
        return Birth(
            server_pid=self._pid,
            command=message["command"],
            environment=message["environment"],
            directory=directory,
            numbers=numbers,
            descriptors=tuple(descriptors),
            sigchld=self._sigchld,
        )

    def _reap(self, key: int) -> None:
        pid, pidfd = self._children[key]
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ending: Message = {"lost": "nobody could wait for it"}
        else:
            if not ended:
                return
            code = os.waitstatus_to_exitcode(status)
            ending = {"signal": -code} if code < 0 else {"code": code}
        del self._children[key]
        self._selector.unregister(pidfd)
        os.close(pidfd)
        self._send({"key": key, **ending})

    def _kill(self, key: int) -> None:
        if key in self._children:
            os.kill(self._children[key][0], signal.SIGKILL)

    def _refuse(self, error: OSError) -> None:
        self._send({"errno": error.errno or errno.EIO})

    def _send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send, or keep for later; the descriptors are closed once they are sent."""
        if not self._is_alone:
            self._unsent.append((message, descriptors))
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            message, descriptors = self._unsent[0]
            try:
                send(self._connection, message, descriptors)
            except BlockingIOError:
                break
            self._unsent.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._connection, wanted)
