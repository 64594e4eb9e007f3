"""Rules for `include`, `exclude`, `rename` and `mask` that need no database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rivet.model.columns import Mask

if TYPE_CHECKING:
    from rivet.config.export import ExportConfig


def column_contradiction(export: ExportConfig) -> tuple[str, str, str] | None:
    """Return what contradicts itself: the key, the message and a hint; None where nothing does.

    Whether the columns are there is seen when they are read.
    """
    if export.include is not None and export.exclude:
        return "exclude", "`include` and `exclude` exclude each other", "keep one of them"
    twice = [name for name, count in Counter(export.rename.values()).items() if count > 1]
    if twice:
        message = f"`rename` gives two columns the name '{twice[0]}'"
        return "rename", message, "give each column its own name"
    for name, mask in export.mask.items():
        if mask is not Mask.NULL and name in export.columns:
            message = f"`mask` makes a text of '{name}', and `columns` gives it a type"
            return "mask", message, f"remove '{name}' from `columns` or from `mask`"
    return None
