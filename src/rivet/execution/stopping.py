"""Graceful shutdown: one request to stop, heard by all, by signal, lost parent or second Ctrl-C.

Signal handlers here only take a note; whoever waits looks at it. Nothing is raised at a random
place in the code.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType

_HEARD: Final = (signal.SIGINT, signal.SIGTERM)
_DRAIN_BYTES: Final = 512
_PATIENCE: Final = 2


class StopRequest:
    """Whether, why and how urgently to stop; safe from any thread and from signal handlers.

    Attributes:
        signal: Number of the first signal that asked; None while nobody did.
        count: How often it was asked.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.count = 0
        self._event = threading.Event()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._cancels: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._reader)
        os.close(self._writer)

    @property
    def is_set(self) -> bool:
        """Whether anybody asked."""
        return self._event.is_set()

    def ask(self, number: int) -> None:
        """Ask to stop, as if by this signal."""
        if self.signal is None:
            self.signal = number
        self.count += 1
        self._event.set()
        with suppress(OSError):  # full: whoever waits is awake already
            os.write(self._writer, b"!")

    def fileno(self) -> int:
        """Return a descriptor that is readable after `ask`, until `heard`."""
        return self._reader

    def heard(self) -> None:
        """Empty the descriptor."""
        with suppress(BlockingIOError):
            while os.read(self._reader, _DRAIN_BYTES):
                pass

    def check(self) -> None:
        """Stop here if it was asked for.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self.is_set:
            raise KeyboardInterrupt

    def sleep(self, seconds: float) -> None:
        """Wait this long.

        Raises:
            KeyboardInterrupt: It was asked to stop, before or meanwhile.
        """
        self._event.wait(seconds)
        self.check()

    @contextmanager
    def cancelling(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Let `cancel_all` call `cancel`, from another thread, while the body runs."""
        key = threading.get_ident()
        self._cancels[key] = cancel
        try:
            yield
        finally:
            self._cancels.pop(key, None)

    def cancel_all(self) -> None:
        """Cancel what the threads at work have running on the server."""
        for cancel in tuple(self._cancels.values()):
            cancel()


@contextmanager
def signals_noted() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and SIGTERM on their way to whoever handles them already.

    Yields:
        Whether one came. Always False outside the main thread, where none can be noted.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    handlers = [(number, signal.getsignal(number)) for number in _HEARD]
    before = {number: handler for number, handler in handlers if callable(handler)}

    def note(number: int, frame: FrameType | None) -> None:
        came.set()
        before[signal.Signals(number)](number, frame)

    for number in before:
        signal.signal(number, note)
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_ask(stop: StopRequest) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into requests while the body runs; in the main thread only.

    Elsewhere no handler can be set and none is needed: signals reach the main thread. A signal that
    is ignored, as in a shell's background job, stays ignored.

    Raises:
        KeyboardInterrupt: It was asked a third time: whoever should listen is stuck.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, _frame: FrameType | None) -> None:
        stop.ask(number)
        if stop.count > _PATIENCE:
            raise KeyboardInterrupt

    heard = [number for number in _HEARD if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
