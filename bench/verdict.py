"""A target of the project, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """One target: what was asked, what came out; `is_met` is None where it was not measured."""

    target: str
    found: str
    is_met: bool | None

    def line(self) -> str:
        """Return the row of the table of targets."""
        mark = {True: "met", False: "**missed**", None: "not measured"}[self.is_met]
        return f"| {self.target} | {self.found} | {mark} |"


def times(ratio: float | None) -> str:
    """Return a ratio as it is written in tables; nothing for None."""
    return "" if ratio is None else f"{ratio:.2f}x"


def at_most(target: str, ratio: float | None, limit: float) -> Verdict:
    """Judge a ratio that should be small."""
    return Verdict(target, times(ratio), None if ratio is None else ratio <= limit)


def at_least(target: str, ratio: float | None, limit: float) -> Verdict:
    """Judge a ratio that should be large."""
    return Verdict(target, times(ratio), None if ratio is None else ratio >= limit)


def ratio(cases: dict[str, Any], name: str, base: str) -> float | None:
    """Return the wall of one case divided by that of another; None where one was not measured."""
    walls = [cases.get(one, {}).get("wall_s") for one in (name, base)]
    return None if None in walls else walls[0] / walls[1]


def paired_ratio(cases: dict[str, Any], name: str, base: str) -> float | None:
    """Return the geometric mean of the ratios of two walls round by round; None as in `ratio`.

    Two runs of one round share what else the machine was doing, and a mean of many rounds varies
    less than a median: for cases whose limit is near.
    """
    pairs = zip(*(cases.get(one, {}).get("walls_s", ()) for one in (name, base)), strict=False)
    ratios = [wall / other for wall, other in pairs]
    return geometric_mean(ratios) if ratios else None
