"""Finished buffers to pyarrow arrays, and the check that text is UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BadCellError", "build_array", "first_bad_text", "first_refused", "numbers_of_text"]


def build_array(
    arrow_type: pa.DataType, rows: int, buffers: Sequence[pa.Buffer | None]
) -> pa.Array:
    """Return an array over the buffers, which it then owns.

    Args:
        arrow_type: A type without children; an extension type is built over its storage.
        rows: Its length.
        buffers: Validity, offsets and data; offsets are None for fixed widths.
    """
    validity, offsets, data = buffers
    parts = [validity, data] if offsets is None else [validity, offsets, data]
    if isinstance(arrow_type, pa.BaseExtensionType):
        storage = pa.Array.from_buffers(arrow_type.storage_type, rows, parts)
        return pa.ExtensionArray.from_storage(arrow_type, storage)
    return pa.Array.from_buffers(arrow_type, rows, parts)


def first_bad_text(offsets: pa.Buffer, data: pa.Buffer, rows: int) -> int | None:
    """Return the index of the first value that is not UTF-8, or None.

    No value may begin with a continuation byte (the decoders refuse those): joined bytes that are
    valid then prove every value valid.
    """
    if _is_utf8(data, data.size):
        return None
    places = memoryview(offsets).cast("B").cast("i")
    low, high = 0, rows - 1
    while low < high:
        middle = (low + high) // 2
        if _is_utf8(data, places[middle + 1]):
            low = middle + 1
        else:
            high = middle
    return low


class BadCellError(Exception):
    """A value that is found bad when its batch is taken: status, field and row."""

    def __init__(self, status: int, field: int, row: int) -> None:
        super().__init__(status, field, row)
        self.status, self.field, self.row = status, field, row


def first_refused(array: pa.Array, change: Callable[[pa.Array], object]) -> int:
    """Return the index of the first value that makes a change of the whole array fail.

    Args:
        array: One that `change` has just refused.
        change: Raises `pyarrow.ArrowInvalid` for an array that holds such a value.
    """
    low, high = 0, len(array) - 1
    while low < high:
        middle = (low + high) // 2
        try:
            change(array.slice(low, middle - low + 1))
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle + 1
    return low


def numbers_of_text(
    arrow_type: pa.DataType, rows: int, buffers: Sequence[pa.Buffer | None]
) -> tuple[pa.Array | None, int | None]:
    """Return the floats that texts spell, correctly rounded, or the index of one that is none.

    Args:
        arrow_type: A floating-point type.
        rows: How many.
        buffers: Of an array of strings; their bytes may be anything.
    """
    texts = build_array(pa.string(), rows, buffers)
    try:
        return texts.cast(arrow_type), None
    except pa.ArrowInvalid:
        return None, first_refused(texts, lambda part: part.cast(arrow_type))


def _is_utf8(data: pa.Buffer, stop: int) -> bool:
    places = pa.py_buffer(bytes(4) + stop.to_bytes(4, "little"))
    try:
        pa.StringArray.from_buffers(1, places, data).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
