"""A seal: a hash that tells damage from what was written; it keeps no one from forging."""

from __future__ import annotations

import json

import xxhash


def seal_of(*values: str | int | None) -> str:
    """Return 16 hex digits over values in their order (XXH3, 64 bits).

    Raises:
        TypeError: A value is of another type, as only a damaged store has it.
    """
    return xxhash.xxh3_64_hexdigest(json.dumps(values, separators=(",", ":")).encode())
