"""The `quality:` rules of an export."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_UNIQUE_ENTRIES: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class QualityRules:
    """What must hold of the rows of one run before they are published.

    Attributes:
        row_count_min: The fewest rows allowed; None is no bound.
        row_count_max: The most rows allowed; None is no bound.
        null_ratio_max: Column name to the greatest share of NULLs allowed, 0.0 to 1.0.
        unique_columns: Columns whose values, NULLs aside, must all differ.
        unique_max_entries: The most distinct values remembered per column; beyond it the column
            is not judged, and a warning says so. An entry takes about 100 bytes.
    """

    row_count_min: int | None = None
    row_count_max: int | None = None
    null_ratio_max: Mapping[str, float] = field(default_factory=dict)
    unique_columns: tuple[str, ...] = ()
    unique_max_entries: int = DEFAULT_UNIQUE_ENTRIES
