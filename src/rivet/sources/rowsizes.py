"""How many bytes the row of a server may have, so that memory is bounded by what was asked for.

A row is kept whole before it is decoded. It is as large as its values may be together, each of them
up to `max_value_mb`: a row of several large values is as good as one of small ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.wire.fields import Decoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.wire.fields import FieldSpec

__all__ = ["most_bytes_of_row"]

_LARGEST_ROW: Final = 1024 * 1024 * 1024
_LONG: Final = frozenset(
    {Decoder.TEXT, Decoder.BYTES, Decoder.JSON, Decoder.JSONB, Decoder.GEOMETRY}
)


def most_bytes_of_row(fields: Sequence[FieldSpec], max_value_bytes: int, room_bytes: int) -> int:
    """Return how many bytes may come for one row; 0 is no limit.

    Args:
        fields: Those of every row.
        max_value_bytes: The largest value; 0 is no limit.
        room_bytes: For what is no long value.

    Source:
        PostgreSQL, src/include/utils/memutils.h (`MaxAllocSize`); MySQL and MariaDB manuals,
        "max_allowed_packet": no server sends a row of more than 1 GiB.
    """
    if not max_value_bytes:
        return 0
    long = sum(field.element is not None or field.decoder in _LONG for field in fields)
    values = max(1, long) * max_value_bytes
    return room_bytes + max(max_value_bytes, min(values, _LARGEST_ROW))
