"""Cards on a terminal, painted by a thread of their own.

Nothing here changes the terminal's modes or hides its cursor, so that a process that is killed
leaves it as it was. Whoever emits never waits for the terminal.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, TextIO

from rivet.ui.cards import Cards
from rivet.ui.frame import frame
from rivet.ui.painter import Painter
from rivet.ui.remarks import remark
from rivet.ui.terminal import Terminal

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rivet.events import Event

_TICK_S: Final = 0.2
_FRAME_S: Final = 0.05
# How long the end of a run waits for a terminal that takes nothing, such as one stopped by Ctrl-S.
_PATIENCE_S: Final = 2.0
_WIDEST: Final = 100
_MOST_REMARKS: Final = 1000


class LiveScreen:
    """The stack of cards, from entering to leaving the context.

    Args:
        stream: A terminal.
        names: The exports; each has a card from the start.
        has_colour: False for none at all.
    """

    def __init__(self, stream: TextIO, names: tuple[str, ...], *, has_colour: bool = True) -> None:
        self._encoding = stream.encoding or "utf-8"
        self._terminal = Terminal(stream, self._encoding)
        self._cards = Cards(names, self._encoding)
        self._painter = Painter(stream, self._cards.glyphs, has_colour=has_colour)
        self._changed = threading.Condition()
        self._remarks: deque[str] = deque(maxlen=_MOST_REMARKS)
        self._is_dirty = self._has_events = self._is_closing = False
        self._thread = threading.Thread(target=self._paint_on, name="rivet-screen", daemon=True)

    def __enter__(self) -> Self:
        """Show the first frame."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the whole stack on the terminal; gives up on one that takes nothing."""
        try:
            with self._changed:
                self._cards.close()
                self._is_closing = True
                self._changed.notify_all()
            self._thread.join(_PATIENCE_S)
        finally:
            self._terminal.abandon()

    def emit(self, event: Event) -> None:
        """Take an event. From any thread; never waits for the terminal."""
        text = remark(event, self._encoding)
        with self._changed:
            self._cards.apply(event, time.monotonic())
            if text:
                self._remarks.append(text)
            self._is_dirty = self._has_events = True
            self._changed.notify_all()

    def _paint_on(self) -> None:
        is_last = False
        while not is_last and not self._terminal.is_gone:
            with self._changed:
                # Events that come in one breath share a frame.
                self._changed.wait_for(lambda: self._is_closing, _FRAME_S)
                size = self._terminal.size()
                is_last, self._is_dirty = self._is_closing, False
                remarks = list(self._remarks)
                self._remarks.clear()
                lines = self._lines(size.columns, size.lines, is_last=is_last)
            self._terminal.write(self._painter.paint(lines, remarks, size))
            if not is_last:
                with self._changed:
                    self._changed.wait_for(lambda: self._is_dirty or self._is_closing, _TICK_S)

    def _lines(self, columns: int, height: int, *, is_last: bool) -> list[str]:
        now_s = time.monotonic()
        # The last column stays free: a line that reaches it makes some terminals wrap.
        width = max(min(columns - 1, _WIDEST), 1)
        if not is_last:
            return frame(self._cards, now_s, width, height)
        return self._cards.lines(now_s, width, is_last=True) if self._has_events else []
