"""Failure summary: exports that failed alike are told together. Pure functions."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rivet.model.report import ExportReport

_LONGEST: Final = 200
_MOST_NAMED: Final = 3
_MOST_NAMES: Final = 10
_WORD: Final = re.compile(r"[^\W_]+")
_QUOTED: Final = re.compile(r"'[^']*'")
_DIGIT: Final = re.compile(r"\d")


def cause(report: ExportReport) -> str:
    """Return why an export has not succeeded: one line of at most 200 characters."""
    if report.failure is None:
        return report.status
    return _one_line(f"[{report.failure.code}] {report.failure.message}")


def cause_lines(exports: Sequence[ExportReport], *, most: int) -> list[str]:
    """Return about `most` lines that tell why exports did not succeed, each cause once.

    Causes are alike when code and message are, but for the name of the export, what is quoted and
    numbers. The most frequent stand first.
    """
    lines: list[str] = []
    groups = sorted(_alike(exports), key=len, reverse=True)
    for at, group in enumerate(groups):
        told = _group_lines(group)
        if lines and len(lines) + len(told) > most:
            left = sum(map(len, groups[at:]))
            return [*lines, f"    - {left:,} more exports, of other causes: `--json` lists all"]
        lines += told
    return lines


def few_names(names: Sequence[str], most: int = _MOST_NAMES) -> str:
    """Return names with commas, at most so many, and how many more there are."""
    told = ", ".join(names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most:,} more"


def _alike(exports: Sequence[ExportReport]) -> list[list[ExportReport]]:
    found: defaultdict[str, list[ExportReport]] = defaultdict(list)
    for export in exports:
        text = export.failure.message if export.failure else export.status
        own = re.compile(rf"(?<!\w){re.escape(export.export_name)}(?!\w)")
        masked = _WORD.sub(_without_digits, _QUOTED.sub("#", own.sub("#", text)))
        code = export.failure.code if export.failure else ""
        found[f"{code} {' '.join(masked.split())}"].append(export)
    return list(found.values())


def _group_lines(group: Sequence[ExportReport]) -> list[str]:
    by_cause: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
    for export in group:
        hint = export.failure.hint if export.failure else None
        by_cause[cause(export), hint].append(export.export_name)
    if len(group) > _MOST_NAMED:
        (text, hint), _ = next(iter(by_cause.items()))
        such_as = "" if len(by_cause) == 1 else "such as "
        lines = [f"    - {len(group):,} exports: {such_as}{text}"]
        lines.append(f"      {few_names([export.export_name for export in group])}")
        return lines + _hint(hint)
    lines = []
    hints = [hint for _, hint in by_cause]
    for at, ((text, hint), names) in enumerate(by_cause.items()):
        lines.append(f"    - {', '.join(names)}: {text}")
        if hint not in hints[at + 1 :]:
            lines += _hint(hint)
    return lines


def _hint(hint: str | None) -> list[str]:
    return [f"      hint: {_one_line(hint)}"] if hint else []


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _without_digits(word: re.Match[str]) -> str:
    return "#" if _DIGIT.search(word[0]) else word[0]
