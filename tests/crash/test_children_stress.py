"""Forty exports whose children do everything wrong that a process can do: one verdict each."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from rivet.errors import worst_exit_code

CHILD = Path(__file__).parents[1] / "support" / "scripted_child.py"
AT_ONCE = 8
SAMPLE_S = 0.03
PER_CHILD = 6
MOST_MEMORY = 150 * 1024 * 1024

# What the child does: status, exit code of its verdict, stable code, words of the message.
EXPECTED = {
    "good": ("success", 0, None, ""),
    "slow": ("success", 0, None, ""),
    "chatty": ("success", 0, None, ""),
    "junk": ("success", 0, None, ""),
    "holder": ("success", 0, None, ""),
    "real": ("success", 0, None, ""),
    "crash_early": ("failed", 1, "RIVET_CHILD_EXIT", "no such thing"),
    "refuse_early:3": ("failed", 3, "RIVET_TEST_REFUSED", "the scripted reason"),
    "refuse_early:4": ("failed", 4, "RIVET_TEST_REFUSED", "the scripted reason"),
    "refuse_early:2": ("failed", 2, "RIVET_TEST_REFUSED", "the scripted reason"),
    "crash_midway": ("failed", 1, "RIVET_CHILD_EXIT", "in the middle"),
    f"killed:{signal.SIGKILL}": ("failed", 137, "RIVET_CHILD_KILLED", "SIGKILL"),
    f"killed:{signal.SIGSEGV}": ("failed", 139, "RIVET_CHILD_KILLED", "SIGSEGV"),
    f"killed:{signal.SIGABRT}": ("failed", 134, "RIVET_CHILD_KILLED", "SIGABRT"),
    "failed:5": ("failed", 5, "RIVET_SAID", "it said so"),
    "failed:2": ("failed", 2, "RIVET_SAID", "it said so"),
    "lying:3": ("failed", 3, "RIVET_CHILD_EXIT", "reported success, then ended with exit code 3"),
    "lying:77": ("failed", 77, "RIVET_CHILD_EXIT", "reported success"),
    "mute": ("failed", 1, "RIVET_CHILD_NO_VERDICT", "never told"),
    "deaf": ("failed", 1, "RIVET_CHILD_NO_VERDICT", "never told"),
    "hang": ("interrupted", 143, "RIVET_INTERRUPTED", "SIGTERM"),
    "real:kill@part_stored": ("failed", 137, "RIVET_CHILD_KILLED", "SIGKILL"),
    "real:exit@chunk_started": ("failed", 137, "RIVET_CHILD_KILLED", "SIGKILL"),
    "real:error@manifest_written": ("failed", 2, "RIVET_SOURCE_INTERRUPTED", "fault hook"),
}


class Sampler(threading.Thread):
    """Looks at a process and its children until it ends, and ends children that hang."""

    def __init__(self, pid, hanging):
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.hanging = {f"--export {name}" for name in hanging}
        self.samples = 0
        self.most_memory = 0
        self.zombies = Counter()
        self.leaks = []
        self.base = None

    def run(self):
        try:
            while self.process.status() != psutil.STATUS_ZOMBIE:
                self.look()
                time.sleep(SAMPLE_S)
        except psutil.Error:
            pass

    def look(self):
        children = self.process.children(recursive=True)
        living = 0
        for child in children:
            try:
                if child.status() == psutil.STATUS_ZOMBIE:
                    self.zombies[child.pid, child.create_time()] += 1
                    continue
                living += 1
                command = " ".join(child.cmdline())
                started = time.time() - child.create_time() > 0.5
                if started and any(command.endswith(tail) for tail in self.hanging):
                    child.terminate()
            except psutil.Error:
                continue
        descriptors = self.process.num_fds()
        if self.base is None:
            self.base = descriptors
        self.samples += 1
        self.most_memory = max(self.most_memory, self.process.memory_info().rss)
        if descriptors > 32 + PER_CHILD * min(living, AT_ONCE):
            self.leaks.append((descriptors, living))


def _run(rivet, shop, assignment):
    shop.configure(*({"name": name, "table": "orders"} for name in assignment))
    script = shop.directory / "behaviours.json"
    script.write_text(json.dumps(assignment))
    command = [sys.executable, "-S", "-E", str(CHILD), str(script)]
    process = rivet.start(
        "run",
        "-c",
        shop.config,
        f"--parallel-export-processes={AT_ONCE}",
        "--json",
        env={**rivet.environment, "RIVET_CHILD_COMMAND": json.dumps(command)},
    )
    hanging = [name for name, what in assignment.items() if what == "hang"]
    sampler = Sampler(process.pid, hanging)
    sampler.start()
    try:
        stdout, stderr = process.communicate(timeout=150)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    sampler.join()
    return process.returncode, json.loads(stdout), stderr, sampler


def _assign(seed):
    chooser = random.Random(seed)
    behaviours = [*EXPECTED]
    chosen = behaviours + chooser.choices(behaviours, k=40 - len(behaviours))
    chosen = [one if one != "chatty" or place < 30 else "good" for place, one in enumerate(chosen)]
    chooser.shuffle(chosen)
    return {f"export_{place:02}": what for place, what in enumerate(chosen)}


def _check(rivet, shop, seed):
    assignment = _assign(seed)
    code, body, stderr, sampler = _run(rivet, shop, assignment)
    verdicts = {entry["export_name"]: entry for entry in body["per_export"]}
    assert [*verdicts] == [*assignment], "one verdict each, in the order of the configuration"
    for name, what in assignment.items():
        status, _, stable, words = EXPECTED[what]
        entry = verdicts[name]
        found = (entry["status"], entry["error_code"])
        assert found == (status, stable), (name, what, entry)
        assert words in (entry["error_message"] or ""), (what, entry)
    assert code == worst_exit_code([EXPECTED[what][1] for what in assignment.values()])
    assert "\x1b" not in stderr
    for name in assignment:
        cards = re.findall(rf"^[▸✓✗⚠•] {name} ", stderr, re.MULTILINE)
        assert len(cards) == 1, (name, cards)
    assert sampler.samples > 10
    assert sampler.leaks == []
    # A zombie is one while it waits for its turn of the loop; nobody sees it again and again.
    assert {key: seen for key, seen in sampler.zombies.items() if seen > 5} == {}
    assert sampler.most_memory < MOST_MEMORY
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if str(shop.directory) in " ".join(process.info["cmdline"] or ())
        and "time.sleep" not in str(process.info["cmdline"])
    ]
    holders = sum(what == "holder" for what in assignment.values())
    assert len(left) <= holders, left  # what a child leaves behind on purpose is not ours


def test_forty_exports_get_forty_right_verdicts(rivet, shop):
    _check(rivet, shop, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 22))
def test_forty_exports_get_forty_right_verdicts_again_and_again(rivet, shop, seed):
    _check(rivet, shop, seed)


def test_a_child_that_ignores_the_request_to_end_is_killed(rivet, shop):
    assignment = {"one": "stubborn", "two": "hang", "three": "good"}
    shop.configure(*({"name": name, "table": "orders"} for name in assignment))
    script = shop.directory / "behaviours.json"
    script.write_text(json.dumps(assignment))
    command = [sys.executable, "-S", "-E", str(CHILD), str(script)]
    process = rivet.start(
        "run",
        "-c",
        shop.config,
        "--parallel-export-processes=3",
        "--json",
        env={**rivet.environment, "RIVET_CHILD_COMMAND": json.dumps(command)},
    )
    time.sleep(2)
    began = time.monotonic()
    process.terminate()
    stdout, _ = process.communicate(timeout=30)
    assert 4 < time.monotonic() - began < 9  # the grace of five seconds
    assert process.returncode == 143
    verdicts = {entry["export_name"]: entry for entry in json.loads(stdout)["per_export"]}
    assert verdicts["one"]["status"] == "interrupted"
    assert "was killed" in verdicts["one"]["error_message"]
    assert verdicts["two"]["status"] == "interrupted"
    assert verdicts["three"]["status"] == "success"
