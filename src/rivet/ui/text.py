"""Text for a terminal: made harmless, measured and cut in cells. Pure functions."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from rivet.redact import redact, visible

_BLANKS: Final = re.compile("[ \t\r\n]+")
# Line separators, bidirectional controls, marks nobody sees, halves of characters.
_TREACHEROUS: Final = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_EMOJI_STYLE: Final = "\ufe0f"
_FIRST_FLAG: Final = "\U0001f1e6"
_LAST_FLAG: Final = "\U0001f1ff"
# No card shows more; a driver's message may be as long as the statement it quotes.
_LONGEST: Final = 2000


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The marks of a screen: one cell each, but for the ellipsis."""

    running: str
    success: str
    failed: str
    attention: str
    other: str
    ellipsis: str


UNICODE: Final = Glyphs("▸", "✓", "✗", "⚠", "•", "…")
ASCII: Final = Glyphs(">", "+", "x", "!", "-", "...")


def glyphs_of(encoding: str) -> Glyphs:
    """Return the marks that this encoding can write."""
    marks = "▸✓✗⚠•…"
    return UNICODE if encodable(marks, encoding) == marks else ASCII


def encodable(text: str, encoding: str) -> str:
    """Replace what `encoding` cannot write by backslash escapes."""
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except (LookupError, UnicodeError):
        return text.encode("ascii", "backslashreplace").decode("ascii")


def harmless(text: str) -> str:
    r"""Mask secrets and show what could move a cursor or turn a line around as `\u{hh}`.

    Tabs and line feeds stay.
    """
    shown = visible(redact(text))
    if shown.isascii():
        return shown
    return _TREACHEROUS.sub(lambda match: f"\\u{{{ord(match.group()):x}}}", shown)


def one_line(text: str) -> str:
    """Return `harmless(text)` on one line of at most 2,000 characters; blanks become one space."""
    return harmless(_BLANKS.sub(" ", redact(text))[:_LONGEST]).strip()


def cells(text: str) -> int:
    """Return how many cells a terminal needs at most for a line.

    Terminals differ in joined emoji; those that do not join them need the most, and a line must
    never wrap.
    """
    if text.isascii():
        return len(text)
    total = last = 0
    for character in text:
        width = 1 if character == _EMOJI_STYLE and last == 1 else _cell(character)
        total, last = total + width, width
    return total


@functools.lru_cache(maxsize=4096)
def _cell(character: str) -> int:
    from rich.cells import get_character_cell_size

    is_new = unicodedata.category(character) == "Cn"  # the terminal's tables may know it
    is_flag = _FIRST_FLAG <= character <= _LAST_FLAG
    if is_new or is_flag or unicodedata.east_asian_width(character) in {"W", "F"}:
        return 2
    return get_character_cell_size(character)


def cut(text: str, width: int, ellipsis: str = UNICODE.ellipsis) -> str:
    """Return `text` in at most `width` cells; the ellipsis stands for what is missing."""
    if cells(text) <= width:
        return text
    if width <= len(ellipsis):
        return ellipsis[: max(width, 0)]
    kept, used = "", 0
    room = width - len(ellipsis)
    for character in text:
        used = cells(kept + character) if character == _EMOJI_STYLE else used + cells(character)
        if used > room:
            break
        kept += character
    return kept + ellipsis


def padded(text: str, width: int) -> str:
    """Return `text` with spaces up to `width` cells."""
    return text + " " * (width - cells(text))
