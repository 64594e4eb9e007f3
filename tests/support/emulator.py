"""A terminal made of a pty and an emulator: what a program's user sees, as text."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

_FRAME_END = b"\x1b[?2026l"
CTRL_S = b"\x13"
PATIENCE_S = 20.0
_QUIET_LOOKS = 5


class EmulatedTerminal:
    """The terminal of a program's standard error; its standard input and output are pipes.

    Attributes:
        bytes: All that the program wrote to it.
        frames: The screen after each frame, as lists of lines without what is blank at the end.
    """

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.bytes = bytearray()
        self.frames: list[list[str]] = []
        self._screen = pyte.HistoryScreen(columns, lines, history=5000)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._is_read = threading.Event()
        self._is_read.set()
        self._is_closed = False
        self._master, self._slave = pty.openpty()
        self._thread = threading.Thread(target=self._read)
        self.resize(columns, lines)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hang_up()

    def start(
        self, command: Sequence[str], env: Mapping[str, str], directory: Path
    ) -> subprocess.Popen[str]:
        """Start a program on it; the caller waits for its end."""
        return subprocess.Popen(
            command,
            env=env,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._slave,
            text=True,
            encoding="utf-8",
        )

    def resize(self, columns: int, lines: int) -> None:
        """Drag its corner."""
        with self._lock:
            self._screen.resize(lines, columns)
            size = struct.pack("HHHH", lines, columns, 0, 0)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def stop_reading(self) -> None:
        """Take nothing more of what is written, but stay open."""
        self._is_read.clear()

    def drain(self) -> None:
        """Wait until all that was written is on the screen; at once where nobody reads."""
        quiet = 0
        while self._is_read.is_set() and not self._is_closed and quiet < _QUIET_LOOKS:
            has_more = select.select([self._master], [], [], 0)[0]
            quiet = 0 if has_more else quiet + 1
            time.sleep(0.02)
        with self._lock:  # what was read last has been shown
            pass

    def hang_up(self) -> None:
        """Go away: whoever writes gets an error."""
        if self._is_closed:
            return
        self._is_closed = True
        self._is_read.set()
        self._thread.join()
        os.close(self._slave)
        os.close(self._master)

    @property
    def display(self) -> list[str]:
        """The screen's lines, without blanks at their ends and blank lines below."""
        with self._lock:
            return self._display()

    @property
    def scrollback(self) -> list[str]:
        """The lines above the screen."""
        with self._lock:
            width = self._screen.columns
            top = self._screen.history.top
            return ["".join(row[x].data for x in range(width)).rstrip() for row in top]

    def wait_for(self, is_there: Callable[[list[str]], bool]) -> list[str]:
        """Return the screen once it shows what is waited for, or as it is when time is up."""
        until = time.monotonic() + PATIENCE_S
        while not is_there(shown := self.display) and time.monotonic() < until:
            time.sleep(0.01)
        return shown

    def wait_for_bytes(self, wanted: bytes) -> None:
        """Wait until so much has come; fail the test where it never does."""
        until = time.monotonic() + PATIENCE_S
        while wanted not in self.bytes:
            assert time.monotonic() < until
            time.sleep(0.01)

    def _display(self) -> list[str]:
        rows = [row.rstrip() for row in self._screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def _read(self) -> None:
        while not self._is_closed:
            self._is_read.wait()
            if select.select([self._master], [], [], 0.02)[0]:
                self._feed(os.read(self._master, 65536))
        while select.select([self._master], [], [], 0)[0]:
            os.read(self._master, 65536)

    def _feed(self, data: bytes) -> None:
        with self._lock:
            self.bytes += data
            *whole, rest = data.split(_FRAME_END)
            for frame in whole:
                self._stream.feed(frame + _FRAME_END)
                self.frames.append(self._display())
            self._stream.feed(rest)
