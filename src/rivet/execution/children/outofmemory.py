"""Out-of-memory kills: ask the kernel whether it killed processes for want of memory.

A process that the kernel killed for memory ends by SIGKILL like any other; only the kernel's own
counters tell the two apart. Reads them, and never guesses: what cannot be read is unknown, not 0.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OutOfMemoryWatch"]

_COUNTER: Final = "oom_kill"
_PROC: Final = Path("/proc")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class _Mount(NamedTuple):
    root: str
    point: Path
    kind: str
    options: frozenset[str]


class OutOfMemoryWatch:
    """Counts kills for want of memory from the moment it is made.

    In a control group of version 2 the group's own counter covers this process and all below it,
    and nothing else is asked. Version 1 counts each group apart, so there, and where no group can
    be read, the whole machine's counter speaks too; it may hold kills of strangers.

    Args:
        proc: Where the kernel shows its processes; tests put a copy here.

    Source:
        Linux, Documentation/admin-guide/cgroup-v2.rst ("memory.events") and cgroup-v1/memory.rst
        ("memory.oom_control"); proc_vmstat(5).
    """

    def __init__(self, proc: Path = _PROC) -> None:
        self._before = {path: _count(path) for path in _counters(proc)}

    def kills(self) -> int | None:
        """Return the number of such kills since; None where no counter can be read.

        A caller who tells kills apart subtracts those it has attributed already.
        """
        known = [
            now - before
            for path, before in self._before.items()
            if before is not None and (now := _count(path)) is not None
        ]
        return max(0, *known) if known else None


def _counters(proc: Path) -> tuple[Path, ...]:
    machine = proc / "vmstat"
    groups = _groups(proc)
    if "memory" in groups:
        point = _folder(proc, "cgroup", groups["memory"])
        return (machine,) if point is None else (point / "memory.oom_control", machine)
    point = _folder(proc, "cgroup2", groups.get("", "/"))
    events = point / "memory.events" if point else machine
    return (machine,) if _count(events) is None else (events,)


def _groups(proc: Path) -> dict[str, str]:
    """Return this process's group by controller; version 2 has the empty name."""
    groups = {}
    for line in _lines(proc / "self" / "cgroup"):
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _folder(proc: Path, kind: str, group: str) -> Path | None:
    """Return where a group's files are; None where its hierarchy is not mounted."""
    for mount in _mounts(proc):
        if mount.kind != kind or (kind == "cgroup" and "memory" not in mount.options):
            continue
        # A container may see its group's path as the host does, yet only its own part of the tree.
        try:
            return mount.point / PurePosixPath(group).relative_to(mount.root)
        except ValueError:
            continue
    return None


def _mounts(proc: Path) -> Iterator[_Mount]:
    for line in _lines(proc / "self" / "mountinfo"):
        before, separator, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if separator and len(left) > 4 and len(right) > 2:  # noqa: PLR2004 - as proc(5) has it
            point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), left[4])
            yield _Mount(left[3], Path(point), right[0], frozenset(right[2].split(",")))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _count(path: Path) -> int | None:
    for line in _lines(path):
        name, _, value = line.partition(" ")
        if name == _COUNTER and value.strip().isdigit():
            return int(value)
    return None
