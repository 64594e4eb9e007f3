"""Run one command and count what it costs: wall, processor and memory of its whole process tree.

Linux only: reads /proc. Imports nothing heavy, because a child's peak memory starts at what its
parent held when it was made.

Processor time is the kernel's own account, not a sample: a process that waits for its children
takes over what they used, and those it leaves behind become children of this process, which waits
for them. Only children that a program does not wait for (SIGCHLD ignored) would be missed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE_S = 0.05
_LISTING_S = 0.3
_WEIGH_S = 0.2
_LEFT_BEHIND_S = 10.0
_SET_CHILD_SUBREAPER = 36  # prctl(2)
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
        client_cpu_s: User and system time of the command and of every process it started.
        peak_mb: Highest resident memory of all its processes together, in 10**6 bytes.
        shared_peak_mb: The same with a page that several processes share counted once (PSS); 0
            where it was not looked at, because looking costs time.
        own_peak_mb: Highest resident memory of the command's first process.
        exit_code: How it ended; not 0 is a failed run.
        message: The last lines of what it said.
    """

    wall_s: float
    client_cpu_s: float
    peak_mb: float
    exit_code: int
    message: str
    shared_peak_mb: float = 0.0
    own_peak_mb: float = 0.0


def run(
    command: list[str],
    directory: Path,
    environment: dict[str, str],
    limit_s: float,
    *,
    is_weighed: bool = False,
) -> Cost:
    """Run a command to its end in `directory`.

    Args:
        command: Program and arguments.
        directory: Its working directory; `output.log` in it takes what it says.
        environment: Its whole environment.
        limit_s: A run that takes longer is killed.
        is_weighed: Whether to look at shared memory: the walls of such a run count for nothing.
    """
    output = directory / "output.log"
    with output.open("wb") as log, _adopting() as others:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        sampler = _Sampler(process.pid, others, is_weighed=is_weighed)
        sampler.start()
        guard = threading.Timer(limit_s, process.kill)
        guard.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        guard.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        left_behind_s = _reap(others)
        sampler.stop()
    text = output.read_text(errors="replace").strip()
    return Cost(
        wall_s=wall_s,
        client_cpu_s=usage.ru_utime + usage.ru_stime + left_behind_s,
        peak_mb=max(sampler.peak_bytes, usage.ru_maxrss * 1024) / 1e6,
        exit_code=process.returncode,
        message="\n".join(text.splitlines()[-12:]),
        shared_peak_mb=sampler.shared_peak_bytes / 1e6,
        own_peak_mb=sampler.own_peak_bytes / 1e6,
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


def cpu_of_process(pid: int) -> float:
    """Return the processor seconds that a running process has used itself."""
    return sum(_fields(pid)[_OWN_CPU]) * _TICK_S


@contextmanager
def _adopting() -> Iterator[frozenset[int]]:
    """Become the parent of processes left behind, for a while; yield the children from before."""
    system = ctypes.CDLL(None)
    system.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield _own_children()
    finally:
        system.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _own_children() -> frozenset[int]:
    return frozenset(_children().get(os.getpid(), ()))


def _reap(others: frozenset[int]) -> float:
    """Wait for what a command left behind, and return the processor seconds it used.

    One that does not end is killed.
    """
    total_s, deadline = 0.0, time.monotonic() + _LEFT_BEHIND_S
    while left := _own_children() - others:
        for pid in left:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            ended, _, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                total_s += usage.ru_utime + usage.ru_stime
        time.sleep(_SAMPLE_S)
    return total_s


class _Sampler(threading.Thread):
    """Looks at the memory of a command's processes; the kernel's own peak is of one process only.

    They are all descendants of this process, without `others` and theirs.
    """

    def __init__(self, root: int, others: frozenset[int], *, is_weighed: bool) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._others = others
        self._is_weighed = is_weighed
        self._done = threading.Event()
        self.peak_bytes = 0
        self.shared_peak_bytes = 0
        self.own_peak_bytes = 0

    def run(self) -> None:
        members, listed_at, weighed_at = [self._root], 0.0, 0.0
        while not self._done.wait(_SAMPLE_S):
            now = time.monotonic()
            # Listing all processes costs milliseconds, so it is done less often.
            if now - listed_at > _LISTING_S:
                members, listed_at = _tree(self._others), now
            resident = {pid: _resident_bytes(pid) for pid in members}
            self.peak_bytes = max(self.peak_bytes, sum(resident.values()))
            self.own_peak_bytes = max(self.own_peak_bytes, resident.get(self._root, 0))
            if self._is_weighed and now - weighed_at > _WEIGH_S:
                shared_bytes = sum(map(_shared_bytes, _tree(self._others)))
                self.shared_peak_bytes = max(self.shared_peak_bytes, shared_bytes)
                weighed_at = now

    def stop(self) -> None:
        self._done.set()
        self.join()


def _tree(others: frozenset[int]) -> list[int]:
    children = _children()
    members = [pid for pid in children.get(os.getpid(), ()) if pid not in others]
    for pid in members:
        members.extend(children.get(pid, ()))
    return members


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0  # it has ended meanwhile


def _shared_bytes(pid: int) -> int:
    """Return the process's proportional set size: a page of n processes counts 1/n for each."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it has ended meanwhile
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


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
