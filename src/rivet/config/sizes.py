"""File sizes as people write them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)\Z", re.ASCII)
_POWERS: Final = {
    word: 1024**power
    for power, words in enumerate(
        (("", "b"), ("k", "kb", "kib"), ("m", "mb", "mib"), ("g", "gb", "gib"))
    )
    for word in words
}
_LARGEST: Final = 2**62


def parse_size(text: str) -> int:
    """Read a size such as `512MB`, `1.5 GiB`, `2g` or `1048576`; all units are powers of 1024.

    Returns:
        Bytes, at least 1.

    Raises:
        ValueError: It is no size, or below one byte; the message says what is expected.
    """
    match = _SIZE.match(text.strip())
    factor = _POWERS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        msg = "must be a size such as 512MB, 1.5GB, 64KB or a number of bytes"
        raise ValueError(msg)
    size = int(Decimal(match[1]) * factor)
    if not 1 <= size <= _LARGEST:
        msg = "must be at least 1 byte" if size < 1 else "is larger than any file"
        raise ValueError(msg)
    return size
