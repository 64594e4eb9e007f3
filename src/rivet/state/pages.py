"""Pagination of long lists of a state: a page at a time, and bounds on the whole of a list.

Whoever can write to a store decides how many rows a list has and how wide they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "FIRST_ROWS",
    "LIST_BYTES",
    "LIST_ROWS",
    "PAGE_BYTES",
    "Tally",
    "TooLongError",
    "in_groups",
]

FIRST_ROWS: Final = 200
"""How many rows a list may have that needs no pages; a part with 1,600 columns has 160 kB."""

PAGE_BYTES: Final = 32 * 1024 * 1024
"""The most bytes of a page, and of one row; libpq takes two and a half times as much."""

LIST_BYTES: Final = 96 * 1024 * 1024
"""The most bytes of a list: a manifest may have 64 MB, which is some 160,000 files."""

LIST_ROWS: Final = 200_000
"""The most rows of a list."""

_AIM_BYTES: Final = 2 * 1024 * 1024
_MOST_ROWS: Final = 5_000
_VALUE_BYTES: Final = 8


class TooLongError(Exception):
    """A list has more than can be read."""


class Tally:
    """Counts the rows of a list and their bytes."""

    def __init__(self) -> None:
        self.rows = 0
        self.bytes = 0

    def add(self, row: Iterable[Any]) -> None:
        """Count one row.

        Raises:
            TooLongError: The list is longer than lists may be.
        """
        self.rows += 1
        self.bytes += sum(len(v) if isinstance(v, str | bytes) else _VALUE_BYTES for v in row)
        if self.rows > LIST_ROWS:
            msg = f"a list has more than {LIST_ROWS:,} rows"
            raise TooLongError(msg)
        if self.bytes > LIST_BYTES:
            msg = f"a list has more than {LIST_BYTES:,} bytes"
            raise TooLongError(msg)

    @property
    def next_rows(self) -> int:
        """How many rows the next page may have, as wide as those before."""
        each = max(self.bytes // max(self.rows, 1), 1)
        return min(max(_AIM_BYTES // each, 1), _MOST_ROWS)


def in_groups(names: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield as many names as a statement takes: what stands in its `IN ()`, and the values."""
    for start in range(0, len(names), FIRST_ROWS):
        group = {f"v{at}": name for at, name in enumerate(names[start : start + FIRST_ROWS])}
        yield ", ".join(f":{key}" for key in group), group
