"""Why exports failed, one by one and all alike. Pure functions."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.report import ExportReport

_LONGEST: Final = 200
_ALIKE: Final = 3
_WORD: Final = re.compile(r"[^\W_]+")
_DIGIT: Final = re.compile(r"\d")


def cause(report: ExportReport) -> str:
    """Return why an export has not succeeded: one line of at most 200 characters."""
    if report.failure is None:
        return report.status
    text = " ".join(f"[{report.failure.code}] {report.failure.message}".split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def common_cause(exports: Sequence[ExportReport]) -> tuple[ExportReport, int] | None:
    """Return one of those that failed alike and their number, where no export succeeded.

    Failures are alike when their messages are, but for the names of exports and for numbers.
    Fewer than three are no pattern: None.
    """
    if any(export.status == "success" for export in exports):
        return None
    names = sorted((re.escape(export.export_name) for export in exports), key=len, reverse=True)
    named = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)")
    alike: defaultdict[str, list[ExportReport]] = defaultdict(list)
    for export in exports:
        if export.status == "failed" and export.failure is not None:
            masked = _WORD.sub(_without_digits, named.sub("#", export.failure.message))
            alike[f"{export.failure.code} {' '.join(masked.split())}"].append(export)
    most = max(alike.values(), key=len, default=[])
    return (most[0], len(most)) if len(most) >= _ALIKE else None


def _without_digits(word: re.Match[str]) -> str:
    return "#" if _DIGIT.search(word[0]) else word[0]
