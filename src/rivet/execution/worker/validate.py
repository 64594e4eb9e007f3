"""Validation of a part before it is published: its rows are counted again from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import DataIntegrityError
from rivet.verify.part_check import count_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.model.sink import PreparedPart


def validate_parts(parts: Iterator[PreparedPart], format_name: str) -> Iterator[PreparedPart]:
    """Count each part's rows again from the file, before it is published.

    Raises:
        DataIntegrityError: A file holds another number of rows than were written to it, or cannot
            be read back before it is published.
    """
    for part in parts:
        path = part.sink.local_path
        if path is None:
            msg = f"validation failed: {part.name} cannot be read back before it is published"
            raise DataIntegrityError(msg, hint="run it without --validate; nothing was published")
        found = count_rows(path, format_name)
        if found != part.stats.rows:
            msg = (
                f"validation failed: {part.name}: expected {part.stats.rows} rows, "
                f"the file holds {found}"
            )
            raise DataIntegrityError(msg, hint="run again; the part was not published")
        yield part
