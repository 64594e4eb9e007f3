"""Client of the fork server: start it, ask it, and know how it ended."""

from __future__ import annotations

import errno
import importlib.util
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final, NoReturn, Self

from rivet.execution.children.forkwire import DisconnectedError, open_pair, receive, send

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from rivet.execution.children.forkwire import Message

__all__ = ["ForkingUnavailable", "ServerProcess", "is_available"]

_MODULE: Final = "rivet.cli.preloaded"
_ANSWER_LIMIT_S: Final = 30.0
# A machine that was paused finds the limit passed although the server had no time to answer.
_SECOND_LOOK_S: Final = 5.0
_END_LIMIT_S: Final = 10.0
_TITLE_ROOM_BYTES: Final = 8192


def is_available() -> bool:
    """Whether this system has what forking needs."""
    needed = ("pidfd_open", "memfd_create", "eventfd")
    if sys.platform != "linux" or not all(hasattr(os, name) for name in needed):
        return False
    if importlib.util.find_spec("setproctitle") is None:
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an old kernel, or a sandbox that forbids it
        return False
    return True


class ForkingUnavailable(OSError):  # noqa: N818 - a state to plan for: start children plainly
    """There is no fork server, or none any more."""


class ServerProcess:
    """A fork server and the conversation with it.

    Attributes:
        pid: Its process number.
        lost: How it ended or why it is of no use, to follow a subject: `was killed by SIGKILL`;
            None while all is well.
    """

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self.pid = process.pid
        self.lost: str | None = None
        self._process = process
        self._connection = connection
        self._is_ready = False

    @classmethod
    def start(cls, modules: Sequence[str], environment: Mapping[str, str]) -> Self:
        """Execute a server; it imports while the caller goes on.

        Args:
            modules: What to import beside what every run needs; none is all there is.
            environment: Its environment; settings for its imports are added.

        Raises:
            OSError: It could not be started.
        """
        near, far = open_pair()
        with far:
            command = [sys.executable, "-P", "-m", _MODULE, str(far.fileno()), *modules]
            try:
                process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of Rivet
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(far.fileno(),),
                    start_new_session=True,
                    env=_environment_for_imports(environment),
                )
            except OSError:
                near.close()
                raise
        return cls(process, near)

    def fileno(self) -> int:
        """Return the descriptor that is readable when `arrivals` has something; -1 once lost."""
        return self._connection.fileno()

    def wait_ready(self) -> None:
        """Wait until the server has its imports, at most 30 s.

        Raises:
            ForkingUnavailable: It is lost, or was not ready in time and therefore killed.
        """
        self._require()
        try:
            while not self._is_ready:
                self._note(self._receive()[0])
                self._require()
        except DisconnectedError:
            self._lose()
        except TimeoutError:
            self._kill(f"was not ready after {_ANSWER_LIMIT_S:g} s and was killed")
        self._require()

    def ask(
        self, order: Message, descriptors: Sequence[int], keep: Callable[[Message], None]
    ) -> tuple[Message, list[int]]:
        """Send an order and wait for the reply to it.

        Args:
            order: The order, sent once the server has its imports.
            descriptors: Those that go with it.
            keep: Takes what arrives before the reply.

        Returns:
            The reply, and the descriptors that came with it.

        Raises:
            ForkingUnavailable: The server is lost, or silent for 30 s and therefore killed.
            OSError: The order has more descriptors than can be sent.
        """
        self.wait_ready()
        self._connection.settimeout(_ANSWER_LIMIT_S)
        try:
            send(self._connection, order, descriptors)
            message, received = self._receive()
            while "pid" not in message and "errno" not in message:
                keep(message)
                message, received = self._receive()
        except DisconnectedError:
            self._lose()
        except TimeoutError:
            self._kill(f"did not answer for {_ANSWER_LIMIT_S:g} s and was killed")
        else:
            return message, received
        return self._refuse()

    def _receive(self) -> tuple[Message, list[int]]:
        self._connection.settimeout(_ANSWER_LIMIT_S)
        try:
            return receive(self._connection)
        except TimeoutError:
            self._connection.settimeout(_SECOND_LOOK_S)
            return receive(self._connection)

    def tell(self, message: Message) -> None:
        """Send a message that has no reply; nothing where the server is lost."""
        try:
            send(self._connection, message)
        except DisconnectedError:
            self._lose()

    def arrivals(self) -> list[Message]:
        """Return what has arrived, without waiting; `lost` may be set afterwards."""
        messages: list[Message] = []
        if self.lost is None:
            self._connection.settimeout(0)
            try:
                while True:
                    message, _ = receive(self._connection)
                    if not self._note(message):
                        messages.append(message)
            except DisconnectedError:
                self._lose()
            except BlockingIOError:
                pass
        return messages

    def close(self) -> None:
        """End the server and wait for it."""
        if self.lost is not None:
            return
        if self._is_ready:
            self._connection.close()
            self._wait()
            self.lost = "was closed"
        else:
            self._kill("was closed")

    def _require(self) -> None:
        if self.lost is not None:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise ForkingUnavailable(errno.ECHILD, f"the process that starts children {self.lost}")

    def _note(self, message: Message) -> bool:
        """Take a message about the server itself; say whether it was one."""
        if "unavailable" in message:
            self._kill(f"cannot be used: {message['unavailable']}")
            return True
        self._is_ready = self._is_ready or "ready" in message
        return "ready" in message

    def _lose(self) -> None:
        self._connection.close()
        code = self._wait()
        self.lost = (
            f"was killed by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with exit code {code}"
        )

    def _kill(self, reason: str) -> None:
        self._connection.close()
        self._process.kill()
        self._wait()
        self.lost = reason

    def _wait(self) -> int:
        try:
            return self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _environment_for_imports(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which importing starts no thread.

    jemalloc cleans up on a thread of its own unless told otherwise, and OpenBLAS, should numpy be
    installed, starts one for every processor. Children get the environment of their order.
    """
    jemalloc = environment.get("JE_ARROW_MALLOC_CONF")
    settings = [*([jemalloc] if jemalloc else []), "background_thread:false"]
    return {
        "ARROW_DEFAULT_MEMORY_POOL": "jemalloc",
        "OPENBLAS_NUM_THREADS": "1",
        **environment,
        "JE_ARROW_MALLOC_CONF": ",".join(settings),
        # A child's title is written over the arguments and the environment of its server.
        "RIVET_ROOM_FOR_TITLES": "-" * _TITLE_ROOM_BYTES,
    }
