"""Kills for want of memory are counted where the kernel counts them, and unknown is not none."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from rivet.execution.children.outofmemory import OutOfMemoryWatch

MEMORY_V1 = Path("/sys/fs/cgroup/memory")


class Kernel:
    """A copy of the files a kernel would show."""

    def __init__(self, root):
        self.proc = root / "proc"
        self.groups = root / "a group"
        (self.proc / "self").mkdir(parents=True)
        self.groups.mkdir()

    def mounted(self, kind, options, group, root="/"):
        point = str(self.groups).replace(" ", "\\040")
        mounts = f"22 1 0:5 / /proc rw - proc proc rw\n31 23 0:9 {root} {point} rw shared:7 - "
        (self.proc / "self" / "mountinfo").write_text(f"{mounts}{kind} cgroup {options}\n")
        (self.proc / "self" / "cgroup").write_text(group)

    def counts(self, machine=None, **files):
        if machine is not None:
            (self.proc / "vmstat").write_text(f"oom_kill_x 9\noom_kill {machine}\npgfault 5\n")
        for name, number in files.items():
            path = self.groups / "app" / name.replace("_", ".", 1)
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"oom 7\noom_kill {number}\noom_group_kill 0\n")


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path)


def _kills(kernel, before, after):
    kernel.counts(**before)
    watch = OutOfMemoryWatch(kernel.proc)
    assert watch.kills() in {0, None}
    kernel.counts(**after)
    return watch.kills()


@pytest.mark.parametrize("root", ["/", "/docker"])
def test_a_group_of_version_2_speaks_alone(kernel, root):
    group = "0::/app\n" if root == "/" else "0::/docker/app\n"
    kernel.mounted("cgroup2", "rw,nsdelegate", group, root)
    before = {"machine": 4, "memory_events": 2}
    assert _kills(kernel, before, {"machine": 9, "memory_events": 3}) == 1


def test_with_version_1_the_machine_speaks_too(kernel):
    kernel.mounted("cgroup", "rw,memory", "4:cpu,memory:/app\n1:name=systemd:/\n0::/\n")
    before = {"machine": 4, "memory_oom_control": 2}
    assert _kills(kernel, before, {"machine": 4, "memory_oom_control": 4}) == 2
    before = {"machine": 4, "memory_oom_control": 4}
    assert _kills(kernel, before, {"machine": 5, "memory_oom_control": 4}) == 1


def test_without_a_counter_of_the_group_the_machine_speaks(kernel):
    kernel.mounted("cgroup2", "rw", "0::/\n")
    assert _kills(kernel, {"machine": 4}, {"machine": 6}) == 2
    kernel.mounted("cgroup", "rw,memory", "4:memory:/elsewhere\n", "/docker")
    assert _kills(kernel, {"machine": 4}, {"machine": 6}) == 2


def test_what_cannot_be_read_is_unknown(kernel):
    assert OutOfMemoryWatch(kernel.proc).kills() is None
    kernel.mounted("cgroup2", "rw", "0::/app\n")
    (kernel.proc / "vmstat").write_text("pgfault 5\n")
    watch = OutOfMemoryWatch(kernel.proc)
    assert watch.kills() is None
    kernel.counts(machine=3)
    assert watch.kills() is None


def test_a_counter_that_goes_away_or_back_tells_no_kill(kernel):
    kernel.mounted("cgroup2", "rw", "0::/\n")
    assert _kills(kernel, {"machine": 4}, {"machine": 2}) == 0
    watch = OutOfMemoryWatch(kernel.proc)
    (kernel.proc / "vmstat").unlink()
    assert watch.kills() is None


@contextmanager
def _small_group(limit_bytes):
    group = MEMORY_V1 / f"rivet-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("needs the right to make a group of the version 1 memory controller")
    try:
        for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
            if (group / name).exists():
                (group / name).write_text(str(limit_bytes))
        yield group
    finally:
        group.rmdir()


def test_a_real_kill_is_counted():
    watch = OutOfMemoryWatch()
    if watch.kills() is None:
        pytest.skip("this kernel shows no counter")
    join = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    eat = [sys.executable, "-c", "b'x' * (256 << 20)"]
    with _small_group(64 << 20) as group:
        eater = subprocess.run(["sh", "-c", join, str(group), *eat], check=False, timeout=60)
    assert eater.returncode == -signal.SIGKILL
    assert watch.kills() >= 1
