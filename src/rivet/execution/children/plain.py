"""Launcher of child processes by `subprocess`: the interpreter anew, on every POSIX system."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from contextlib import suppress

from rivet.execution.children.launch import Ending, Launched, Order


class PlainLauncher:
    """A `Launcher` over subprocesses, with one waiting thread for each child.

    A thread waits wherever the child is in the order, so that none stays behind as a zombie.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[int, subprocess.Popen[bytes]] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._ended: deque[tuple[int, Ending]] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._is_closed = False

    def launch(self, order: Order) -> Launched:
        """Start a child.

        Raises:
            OSError: It could not be started.
        """
        process = subprocess.Popen(  # noqa: S603 - our own command line
            order.command,
            env=dict(order.environment),
            cwd=order.directory,
            stdin=subprocess.DEVNULL,
            stdout=order.stdout,
            stderr=order.stderr,
            pass_fds=order.inherited,
            start_new_session=True,
        )
        thread = threading.Thread(
            target=self._wait, args=(order.key, process), name="rivet-child", daemon=True
        )
        with self._lock:
            self._live[order.key] = process
            self._threads[order.key] = thread
        try:
            thread.start()
        except RuntimeError as error:
            # No thread to wait for it: a child that nobody waits for must not live.
            with self._lock:
                del self._live[order.key], self._threads[order.key]
            process.kill()
            process.wait()
            raise OSError(str(error)) from error
        return Launched(order.key, process.pid)

    def fileno(self) -> int:
        """Return a descriptor that is readable when a child has ended."""
        return self._reader

    def endings(self) -> list[tuple[int, Ending]]:
        """Return the children that ended since the last call."""
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        ended = []
        while self._ended:
            ended.append(self._ended.popleft())
        for key, _ in ended:
            self._threads.pop(key).join()
        return ended

    def send_signal(self, key: int, number: int) -> None:
        """Signal a child and what it started; nothing where it has ended."""
        with self._lock:
            process = self._live.get(key)
            if process is not None:
                # Its leader is not reaped while it is in `_live`, so the group is its own.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)

    def close(self) -> None:
        """Kill what still runs and wait for it. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        for key in tuple(self._live):
            self.send_signal(key, signal.SIGKILL)
        for thread in tuple(self._threads.values()):
            thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def _wait(self, key: int, process: subprocess.Popen[bytes]) -> None:
        try:
            if hasattr(os, "waitid"):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            else:  # an older macOS: a signal sent in the instant of the end may go astray
                process.wait()
            with self._lock:
                del self._live[key]
            status = process.wait()
            ending = Ending(code=status) if status >= 0 else Ending(signal=-status)
        except OSError as error:
            with self._lock:
                self._live.pop(key, None)
            ending = Ending(lost=f"it could not be waited for: {error.strerror}")
        self._ended.append((key, ending))
        os.write(self._writer, b"!")
