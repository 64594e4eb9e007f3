"""Turn lines into what a terminal must be sent to show them: one string per frame. No I/O."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from rivet.ui.text import cells

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from rivet.ui.text import Glyphs

# Synchronised output: terminals that know it show the frame at once, others ignore it.
_BEGIN: Final = "\x1b[?2026h"
_END: Final = "\x1b[?2026l"
_ERASE_BELOW: Final = "\x1b[J"
_CLEAN: Final = str(Control((ControlType.ERASE_IN_LINE, 2)))
_HOME: Final = str(Control.home())
_NEW_LINE: Final = "\r\n"
_MOST_REMARKS: Final = 200


class Painter:
    """Knows what the last frame left on the terminal.

    The cursor stands on the line below the stack, at its start, after every frame.

    Args:
        stream: The terminal, asked for its colours only.
        glyphs: The marks that begin the lines.
        has_colour: False for none at all.
    """

    def __init__(self, stream: TextIO, glyphs: Glyphs, *, has_colour: bool) -> None:
        console = Console(file=stream, no_color=not has_colour, highlight=False)
        styles = {
            glyphs.running: "cyan",
            glyphs.success: "green",
            glyphs.failed: "red",
            glyphs.attention: "yellow",
        }
        self._marks = {mark: _rendered(console, mark, style) for mark, style in styles.items()}
        self._shown: list[str] = []
        self._size: os.terminal_size | None = None
        self._recent: deque[str] = deque(maxlen=_MOST_REMARKS)

    def paint(self, lines: Sequence[str], remarks: Sequence[str], size: os.terminal_size) -> str:
        """Return the bytes' text that replaces the last frame; empty where nothing is new.

        Args:
            lines: The stack; none may be as wide as the terminal.
            remarks: Printed above the stack, where they stay.
            size: Of the terminal, now. Another size than last time clears the screen, because
                terminals differ in what they do with the old lines.
        """
        is_resized = self._size is not None and self._size != size
        self._size = size
        above = list(remarks)
        if is_resized:
            start = _HOME + _ERASE_BELOW
            above = [*self._that_fit(size, [*remarks, *lines]), *remarks]
        elif remarks:
            start = self._to_the_top() + _ERASE_BELOW
        elif lines == self._shown:
            return ""
        else:
            start = self._to_the_top()
        self._recent.extend(remarks)
        self._shown = list(lines)
        body = [*above, *(_CLEAN + self._marked(line) for line in lines)]
        text = "".join(line + _NEW_LINE for line in body)
        return f"{_BEGIN}{start}{text}{_ERASE_BELOW}{_END}"

    def _to_the_top(self) -> str:
        return "\r" + (str(Control.move(0, -len(self._shown))) if self._shown else "")

    def _marked(self, line: str) -> str:
        return self._marks.get(line[:1], line[:1]) + line[1:]

    def _that_fit(self, size: os.terminal_size, below: Sequence[str]) -> list[str]:
        """Return the newest of the old remarks that have room above these lines."""
        room = size.lines - 1 - sum(_rows(line, size) for line in below)
        kept = deque[str]()
        for remark in reversed(self._recent):
            room -= _rows(remark, size)
            if room < 0:
                break
            kept.appendleft(remark)
        return list(kept)


def _rows(line: str, size: os.terminal_size) -> int:
    return max(-(-cells(line) // size.columns), 1)


def _rendered(console: Console, mark: str, style: str) -> str:
    with console.capture() as capture:
        console.print(Text(mark, style=style), end="", soft_wrap=True)
    return capture.get()
