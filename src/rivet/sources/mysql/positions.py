"""Order of GTID sets: one is before another where that holds all its transactions.

MySQL writes intervals by server (`uuid:1-5:7`, from 8.3 on with tags before the intervals), MariaDB
the last number of each domain (`0-1-42`). Of two sets, neither may be before the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Intervals = Sequence[tuple[int, int]]


def is_at_or_before(first: str, second: str) -> bool:
    """Whether every transaction of the first set is in the second.

    Raises:
        ValueError: A text is no set of GTIDs.
    """
    before, after = _parsed(first), _parsed(second)
    return all(
        any(low <= start and end <= high for low, high in after.get(origin, ()))
        for origin, intervals in before.items()
        for start, end in intervals
    )


def _parsed(text: str) -> Mapping[str, Intervals]:
    members = [member.strip() for member in text.split(",")]
    if ":" not in text:
        return _domains(members)
    found: dict[str, list[tuple[int, int]]] = {}
    for member in members:
        server, *rest = (word.strip().lower() for word in member.split(":"))
        origin = server
        for word in rest:
            if not word[:1].isdigit():
                origin = f"{server}:{word}"
                continue
            start, _, end = word.partition("-")
            found.setdefault(origin, []).append((int(start), int(end or start)))
    return {origin: _joined(intervals) for origin, intervals in found.items()}


def _joined(intervals: Intervals) -> Intervals:
    """Return intervals with none that only continues another."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _domains(members: Sequence[str]) -> Mapping[str, Intervals]:
    """Return the domains of MariaDB, each as all numbers up to its last."""
    found = {}
    for member in members:
        domain, _server, number = member.split("-")
        found[str(int(domain))] = [(0, int(number))]
    return found
