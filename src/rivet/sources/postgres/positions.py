"""Order of write-ahead log positions (LSN): numbers of two halves, whose texts sort otherwise."""

from __future__ import annotations


def is_at_or_before(first: str, second: str) -> bool:
    """Whether the first position is the second one or before it.

    Raises:
        ValueError: A text is no LSN.
    """
    return _number(first) <= _number(second)


def _number(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
