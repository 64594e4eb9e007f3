"""What the benchmark calls the cost of a command is all of it."""

import os
import sys
import time

import pytest

from bench.measure import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# One child that is waited for and has a child of its own, and one that nobody waits for.
_FAMILY = """
import os, time

def work(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass

child = os.fork()
if child == 0:
    if os.fork() == 0:
        work(0.1)
        os._exit(0)
    os.wait()
    work(0.1)
    os._exit(0)
os.wait()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.3)
        work(0.2)
    os._exit(0)
os.wait()
"""


def _run(script, folder, **options):
    environment = dict(os.environ)
    return run([sys.executable, "-S", "-c", script], folder, environment, 30.0, **options)


def test_processor_time_is_that_of_all_descendants_waited_for_or_not(tmp_path):
    begun_at = time.monotonic()
    cost = _run(_FAMILY, tmp_path)
    took_s = time.monotonic() - begun_at
    assert cost.exit_code == 0
    assert 0.4 <= cost.client_cpu_s < 0.8
    assert cost.wall_s < took_s - 0.1, "the one left behind is not waited for in the wall"


def test_pages_that_forked_processes_share_count_once(tmp_path):
    script = """
import os, time
block = bytearray(os.urandom(1)) * 40_000_000
children = [os.fork() for _ in range(2)]
if 0 in children:
    time.sleep(1)
    os._exit(0)
for _ in children:
    os.wait()
"""
    cost = _run(script, tmp_path, is_weighed=True)
    assert cost.exit_code == 0
    assert 40 < cost.shared_peak_mb < 80
    assert cost.peak_mb > 120
    assert 40 < cost.own_peak_mb < 80
