"""One line per verdict and remark, for logs, pipes and terminals that cannot move a cursor."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, TextIO

from rivet.events import ExportFinished
from rivet.ui.cards import Cards
from rivet.ui.lines import Lines
from rivet.ui.remarks import remark
from rivet.ui.text import encodable

if TYPE_CHECKING:
    from rivet.events import Event

_WIDTH: Final = 200


class PlainScreen:
    """Takes events and writes lines without escape codes.

    Args:
        stream: Where to.
        names: The exports, so that columns do not move. The verdict on a single one is left to
            its block.
        opening: Written first.
    """

    def __init__(self, stream: TextIO, names: tuple[str, ...], opening: str | None) -> None:
        self._lines = Lines(stream)
        self._encoding = stream.encoding or "utf-8"
        self._cards = Cards(names, self._encoding)
        self._is_one = len(names) == 1
        self._lock = threading.Lock()
        if opening:
            self._lines.say(encodable(opening, self._encoding))

    def emit(self, event: Event) -> None:
        """Write what the event is worth: each verdict once. From any thread."""
        if text := remark(event, self._encoding):
            self._lines.say(text)
            return
        with self._lock:
            now_s = time.monotonic()
            was_over = self._cards.is_over(event.export_name)
            self._cards.apply(event, now_s)
            if self._is_one or was_over or not isinstance(event, ExportFinished):
                return
            line = self._cards.line(event.export_name, now_s, _WIDTH)
        self._lines.say(line)
