"""The columns of a stack of cards. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.ui.text import cells, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEPARATOR: Final = "  "
_MARK: Final = 2
_NAME: Final = 12
_MODE: Final = 7
_STEADY_MODE: Final = 11
# Rows, files, bytes and duration of an export of a million rows.
_BODY: Final = 44
# Narrower, and the mode gives its place to the name and the rows.
_MODE_FROM: Final = 60
# Widths of rows, files, bytes and duration for lines that are written one by one.
_STEADY_FIGURES: Final = (16, 9, 9, 8)
# What goes first where there is no room: bytes, then files, duration.
_FIGURE_RANKS: Final = (0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a card's body; rank 0 is the last to go."""

    text: str
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How wide everything is, in cells; a `mode` of 0 is no column at all."""

    width: int
    name: int
    mode: int
    body: int
    figures: tuple[int, ...]
    ellipsis: str

    @classmethod
    def of(
        cls,
        width: int,
        *,
        names: Sequence[int],
        modes: Sequence[int],
        figures: Sequence[Sequence[str]],
        ellipsis: str,
    ) -> Layout:
        """Lay out a stack: columns as wide as their widest, long names cut for the body's sake."""
        mode = max([_MODE, *modes]) if width >= _MODE_FROM else 0
        left = width - _MARK - len(_SEPARATOR) - (mode + len(_SEPARATOR) if mode else 0)
        longest = max([_NAME, *names])
        name = min(longest, max(left - _BODY, min(_NAME, left // 2), 1))
        widths = tuple(max(map(cells, column)) for column in zip(*figures, strict=True))
        return cls(width, name, mode, max(left - name, 0), widths, ellipsis)

    @classmethod
    def steady(
        cls,
        width: int,
        *,
        names: Sequence[int],
        modes: Sequence[int],
        figures: Sequence[Sequence[str]],
        ellipsis: str,
    ) -> Layout:
        """Lay out a line that shares its columns with lines nobody knows yet."""
        few = [" " * most for most in _STEADY_FIGURES]
        return cls.of(
            width,
            names=names,
            modes=[*modes, _STEADY_MODE],
            figures=[*figures, few],
            ellipsis=ellipsis,
        )

    def cut(self, text: str, width: int) -> str:
        """Cut with the ellipsis of this screen."""
        return cut(text, width, self.ellipsis)


def figures(values: Sequence[str], widths: Sequence[int]) -> list[Part]:
    """Return the columns of a success, right-aligned."""
    padded = [f"{value:>{width}}" for value, width in zip(values, widths, strict=True)]
    return [Part(text, rank) for text, rank in zip(padded, _FIGURE_RANKS, strict=True)]


def fitted(parts: Sequence[Part], room: int, ellipsis: str) -> str:
    """Join parts in their order; while there is no room the highest rank is left out."""
    kept = list(parts)
    line = _SEPARATOR.join(part.text for part in kept)
    while cells(line) > room and len(kept) > 1:
        kept.remove(max(kept, key=lambda part: part.rank))
        line = _SEPARATOR.join(part.text for part in kept)
    return cut(line, room, ellipsis)
