"""Run one command and count what it costs: wall, processor and memory of its whole process tree.

Linux only: reads /proc. Imports nothing heavy, because a child's peak memory starts at what its
parent held when it was made.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_S = 0.05
_LISTING_S = 0.3
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PARENT = 0  # places in what `_fields` returns
_OWN_CPU = slice(10, 12)  # utime, stime
_ALL_CPU = slice(10, 14)  # and those of ended children


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost.

    Attributes:
        wall_s: From start to end.
        client_cpu_s: User and system time of the command and all its children.
        peak_mb: Highest resident memory of all its processes together, in 10**6 bytes.
        exit_code: How it ended; not 0 is a failed run.
        message: The last lines of what it said.
    """

    wall_s: float
    client_cpu_s: float
    peak_mb: float
    exit_code: int
    message: str


def run(command: list[str], directory: Path, environment: dict[str, str], limit_s: float) -> Cost:
    """Run a command to its end in `directory`; one over `limit_s` seconds is killed."""
    output = directory / "output.log"
    with output.open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        guard = threading.Timer(limit_s, process.kill)
        guard.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        guard.cancel()
        sampler.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(errors="replace").strip()
    return Cost(
        wall_s=wall_s,
        client_cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=max(sampler.peak_bytes, usage.ru_maxrss * 1024) / 1e6,
        exit_code=process.returncode,
        message="\n".join(text.splitlines()[-12:]),
    )


def cpu_of_server(postmaster: int) -> float:
    """Return the processor seconds of a server, those of its ended processes included."""
    total = sum(_fields(postmaster)[_ALL_CPU])
    for pid in _children().get(postmaster, ()):
        try:
            total += sum(_fields(pid)[_OWN_CPU])
        except OSError:
            continue
    return total * _TICK_S


class _Sampler(threading.Thread):
    """Looks at a process tree's resident memory; the kernel's own peak is of one process only."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._done = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        members, looked_at = [self._root], 0.0
        while not self._done.wait(_SAMPLE_S):
            # Listing all processes costs milliseconds, so it is done less often.
            if time.monotonic() - looked_at > _LISTING_S:
                members, looked_at = _tree(self._root), time.monotonic()
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, members)))

    def stop(self) -> None:
        self._done.set()
        self.join()


def _tree(root: int) -> list[int]:
    children = _children()
    members = [root]
    for pid in members:
        members.extend(children.get(pid, ()))
    return members


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0  # it has ended meanwhile


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - quicker, and called while others are timed
        if entry.isdigit():
            try:
                parent = _fields(int(entry))[_PARENT]
            except OSError:
                continue
            found.setdefault(parent, []).append(int(entry))
    return found


def _fields(pid: int) -> list[int]:
    """Return the numbers of /proc/<pid>/stat that follow the name and the state letter."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return [int(number) for number in text[text.rindex(")") + 4 :].split()]
