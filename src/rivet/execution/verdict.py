"""Checks of a run's own files that `--validate` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import DataIntegrityError, ManifestMismatchError
from rivet.verify.manifest_check import check_prefix
from rivet.verify.part_check import count_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from rivet.destinations.base import Destination
    from rivet.model.part import LocalPart


def validate_parts(parts: Iterator[LocalPart], format_name: str) -> Iterator[LocalPart]:
    """Count each part's rows again from the file, before it is published.

    Raises:
        DataIntegrityError: A file holds another number of rows than were written to it.
    """
    for part in parts:
        found = count_rows(part.path, format_name)
        if found != part.stats.rows:
            msg = (
                f"validation failed: {part.name}: expected {part.stats.rows} rows, "
                f"the file holds {found}"
            )
            raise DataIntegrityError(msg, hint="run again; the part was not published")
        yield part


def validate_published(destination: Destination, export_name: str) -> None:
    """Check manifest, `_SUCCESS` and every part under the prefix.

    Raises:
        ManifestMismatchError: Something there does not agree with the manifest.
    """
    findings = check_prefix(destination)
    if findings.failures:
        msg = f"export '{export_name}': validation failed: {'; '.join(findings.failures)}"
        raise ManifestMismatchError(msg, export=export_name)


def schema_pairs(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """Return (column, Arrow type) pairs, as the state keeps them for the drift check."""
    return tuple((field.name, str(field.type)) for field in schema)
