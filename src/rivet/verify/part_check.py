"""Count a file's rows again from the file alone."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from rivet.errors import DataIntegrityError

if TYPE_CHECKING:
    from pathlib import Path


def count_rows(path: Path, format_name: str) -> int:
    """Return the rows of a whole file: the Parquet footer's, or the CSV's counted records.

    Raises:
        DataIntegrityError: The file cannot be read as its format.
    """
    try:
        return _count_parquet(path) if format_name == "parquet" else _count_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        msg = f"{path.name} cannot be read back as {format_name}: {error}"
        raise DataIntegrityError(msg, hint="run again; the part was not published") from error


def _count_parquet(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _count_csv(path: Path) -> int:
    limit = csv.field_size_limit(1 << 31)
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            return max(sum(1 for _ in csv.reader(lines)) - 1, 0)
    finally:
        csv.field_size_limit(limit)
