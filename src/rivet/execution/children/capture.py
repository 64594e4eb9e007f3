"""Bounded capture of a child process's stderr: its beginning, its end, and the count between.

Takes bytes as fast as they come, because a child that writes much must never wait for its parent.
Everything that costs (decoding, masking) is put off to the end and done for kept lines only.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from rivet.model.report import ChildOutput
from rivet.redact import redact, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CaptureBudget", "StderrCapture", "ToldError", "presentable"]

ToldError = tuple[str | None, str, str | None]
"""What a child said of its failure: stable code, message, hint."""

_LINES: Final = 5_000
_TAIL_LINES: Final = 20
_HEAD_LINES: Final = _LINES - _TAIL_LINES
_LINE_CHARACTERS: Final = 4_096
_UTF8_BYTES: Final = 4
# Where a text was cut, a secret may have lost its end and so its mask: more is held than is shown.
_MARGIN_CHARACTERS: Final = 1_024
_RAW_BYTES: Final = (_LINE_CHARACTERS + _MARGIN_CHARACTERS) * _UTF8_BYTES + 1
_CHILD_BYTES: Final = 2 << 20
_ALL_BYTES: Final = 32 << 20

_ERROR = re.compile(r"Error: (?:\[(?P<code>[A-Z][A-Z0-9_]*)\] )?(?P<message>.*\S)")
_HINT = "Hint: "
_FRAME = '  File "'
_FATAL = "Fatal Python error: "


def presentable(text: str) -> str:
    """Mask secrets, make control characters visible, and cut at 4,096 characters with `…`."""
    held = _LINE_CHARACTERS + _MARGIN_CHARACTERS
    shown = redact(text[:held])
    if len(text) > held:
        shown = shown[: max(0, len(shown) - _MARGIN_CHARACTERS)] + "…"
    shown = visible(shown)
    if len(shown) > _LINE_CHARACTERS:
        return shown[: _LINE_CHARACTERS - 1] + "…"
    return shown


class CaptureBudget:
    """Bytes that all captures of one invocation may hold together."""

    def __init__(self, limit_bytes: int = _ALL_BYTES) -> None:
        self._left = limit_bytes

    def take(self, count: int) -> bool:
        """Take bytes; False, and nothing taken, where fewer are left."""
        if count > self._left:
            return False
        self._left -= count
        return True

    def give(self, count: int) -> None:
        """Give bytes back."""
        self._left += count


class StderrCapture:
    """The standard error of one child, in bounded memory.

    Keeps at most 5,000 lines: the first 4,980 and the last 20, or fewer first ones where 2 MiB
    for this child or the shared budget are used up. The lines between are counted exactly.
    """

    def __init__(self, export_name: str, budget: CaptureBudget) -> None:
        self._export_name = export_name
        self._budget = budget
        self._own = CaptureBudget(_CHILD_BYTES)
        self._head: list[bytes] = []
        self._tail: deque[bytes] = deque(maxlen=_TAIL_LINES)
        self._pending = bytearray()
        self._seen = 0
        self._is_head_full = False
        self._output: ChildOutput | None = None

    def feed(self, data: bytes) -> None:
        """Take the next block; costs little more than counting line feeds once much has come."""
        start = 0
        while not self._is_head_full:
            end = data.find(b"\n", start)
            if end < 0:
                self._hold(data[start : start + _RAW_BYTES])
                return
            self._end_line(data[start : min(end, start + _RAW_BYTES)])
            start = end + 1
        self._feed_tail(data[start:] if start else data)

    def finish(self) -> ChildOutput | None:
        """Return what is kept, masked and harmless to a terminal; None where nothing came.

        After it, `feed` must not be called; all else still answers.
        """
        if self._pending:
            self._end_line(b"")
        if self._seen and self._output is None:
            head = self._shown_head()
            tail = [_shown(line) for line in self._tail]
            dropped = self._seen - len(head) - len(tail)
            if not dropped:
                head, tail = head + tail, []
            self._output = ChildOutput(self._export_name, tuple(head), dropped, tuple(tail))
        return self._output

    def last_words(self) -> str | None:
        """Return the last line that is not blank; None where it was not kept, or there is none."""
        return next((line.strip() for line in self._from_end() if line.strip()), None)

    def error(self) -> ToldError | None:
        """Return how the child named its failure in its last 20 lines; None where it wrote none.

        The last `Error:` line as Rivet prints it, with its hint; else the last line of a
        traceback; else the last line that is not blank.
        """
        lines = list(islice(self._from_end(), _TAIL_LINES))[::-1]
        for index in range(len(lines) - 1, -1, -1):
            found = _ERROR.match(lines[index])
            if found:
                hints = [line for line in lines[index + 1 :] if line.startswith(_HINT)]
                hint = hints[0].removeprefix(_HINT).strip() if hints else None
                return found["code"], found["message"], hint or None
        message = _raised(lines) or self.last_words()
        return (None, message, None) if message else None

    def _from_end(self) -> Iterator[str]:
        """Yield the lines backwards, up to where some are missing."""
        if self._output is not None:
            yield from reversed(self._output.tail)
            if not self._output.dropped:
                yield from reversed(self._output.head)
            return
        if self._pending:
            yield _shown(bytes(self._pending))
        has_gap = self._seen > len(self._head) + len(self._tail)
        for raw in chain(reversed(self._tail), () if has_gap else reversed(self._head)):
            yield _shown(raw)

    def _hold(self, data: bytes) -> None:
        room = _RAW_BYTES - len(self._pending)
        if room > 0:
            self._pending += data[:room]

    def _end_line(self, rest: bytes) -> None:
        self._hold(rest)
        line = bytes(self._pending)
        self._pending.clear()
        self._seen += 1
        if not self._is_head_full:
            if len(self._head) < _HEAD_LINES and self._take(_cost(line)):
                self._head.append(line)
                return
            self._is_head_full = True
        self._tail.append(line)

    def _feed_tail(self, data: bytes) -> None:
        count = data.count(b"\n")
        if count > _TAIL_LINES:
            # The last 20 lines are all new, and what came before them is only a number.
            _, *whole, rest = data.rsplit(b"\n", _TAIL_LINES + 1)
            self._pending.clear()
            self._seen += count
            self._tail.extend(line[:_RAW_BYTES] for line in whole)
        else:
            *whole, rest = data.split(b"\n")
            for line in whole:
                self._end_line(line[:_RAW_BYTES])
        self._hold(rest[:_RAW_BYTES])

    def _shown_head(self) -> list[str]:
        """Turn the head into text, whose size then counts: escapes can make it the larger one."""
        raw_head, self._head = self._head, []
        for raw in raw_head:
            self._give(_cost(raw))
        head = []
        for raw in raw_head:
            line = _shown(raw)
            if not self._take(_cost(line)):
                break
            head.append(line)
        # Of lines that no longer fit, the last ones are worth most.
        room = _TAIL_LINES - len(self._tail)
        if room:
            self._tail.extendleft(reversed(raw_head[len(head) :][-room:]))
        return head

    def _take(self, count: int) -> bool:
        if not self._own.take(count):
            return False
        if self._budget.take(count):
            return True
        self._own.give(count)
        return False

    def _give(self, count: int) -> None:
        self._own.give(count)
        self._budget.give(count)


def _cost(line: bytes | str) -> int:
    return sys.getsizeof(line)


def _shown(raw: bytes) -> str:
    return presentable(raw.removesuffix(b"\r").decode("utf-8", "replace"))


def _raised(lines: list[str]) -> str | None:
    """Return the line after the last frame of the last traceback, where there is one."""
    fatal = [line for line in lines if line.startswith(_FATAL)]
    if fatal:
        return fatal[-1].strip()
    frames = [index for index, line in enumerate(lines) if line.startswith(_FRAME)]
    if not frames:
        return None
    for line in lines[frames[-1] + 1 :]:
        if line.strip() and not line[0].isspace():
            return line.strip()
    return None
