"""Forty exports whose children do everything wrong that a process can do: one verdict each."""

from __future__ import annotations

import random
import re
import signal
import time

import psutil
import pytest

from support.children import paused, wait_until
from support.scripted import Overseer, finish, has_begun, scripted, start

AT_ONCE = 8
MOST_MEMORY = 150 * 1024 * 1024
# Without children: the three standard ones, the state's, the pipes of the loop, one child's at its
# start. Each child may add three.
MOST_DESCRIPTORS = 24
WORST_FIRST = (6, 3, 4, 5, 2, 1)

# What the child does: status, exit code of its verdict, stable code, the whole message.
GOOD = ("success", 0, None, None)
EXPECTED = {
    "good": GOOD,
    "slow": GOOD,
    "chatty": GOOD,
    "junk": GOOD,
    "holder": GOOD,
    "succeeding_deaf": GOOD,
    "real": GOOD,
    "crash_early": (
        "failed",
        1,
        "RIVET_CHILD_EXIT",
        "ended with exit code 1 before it started: RuntimeError: no such thing",
    ),
    **{
        f"refuse_early:{code}": (
            "failed",
            code,
            "RIVET_TEST_REFUSED",
            "the scripted reason (before it started)",
        )
        for code in (2, 3, 4, 5, 6)
    },
    "crash_midway": (
        "failed",
        1,
        "RIVET_CHILD_EXIT",
        "ended with exit code 1: RuntimeError: in the middle",
    ),
    **{
        f"killed:{number}": (
            "failed",
            128 + number,
            "RIVET_CHILD_KILLED",
            f"was killed by {number.name}",
        )
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)
    },
    "failed:5": ("failed", 5, "RIVET_SAID", "it said so"),
    "failed:2": ("failed", 2, "RIVET_SAID", "it said so"),
    "failed:0": ("failed", 1, "RIVET_SAID", "it said so"),
    **{
        f"lying:{code}": (
            "failed",
            code,
            "RIVET_CHILD_EXIT",
            f"reported success, then ended with exit code {code}",
        )
        for code in (3, 77)
    },
    "mute": ("failed", 1, "RIVET_CHILD_NO_VERDICT", "ended with exit code 0 but never told its"),
    "deaf": ("failed", 1, "RIVET_CHILD_NO_VERDICT", "ended with exit code 0 but never told its"),
    "hang": ("interrupted", 143, "RIVET_INTERRUPTED", "was killed by SIGTERM"),
    "real:kill@part_stored": ("failed", 137, "RIVET_CHILD_KILLED", "was killed by SIGKILL"),
    "real:exit@chunk_started": (
        "failed",
        137,
        "RIVET_CHILD_KILLED",
        "was killed by SIGKILL (exit code 137)",
    ),
    "real:error@manifest_written": (
        "failed",
        2,
        "RIVET_SOURCE_INTERRUPTED",
        "a fault hook raised this error",
    ),
}
# Costly ones come at most so often.
RARE = {"chatty": 3, "holder": 3, "junk": 3}


def _assign(seed):
    chooser = random.Random(seed)
    chosen = [*EXPECTED]
    while len(chosen) < 40:
        behaviour = chooser.choice([*EXPECTED])
        if chosen.count(behaviour) < RARE.get(behaviour, 40):
            chosen.append(behaviour)
    chooser.shuffle(chosen)
    return {f"export_{place:02}": what for place, what in enumerate(chosen)}


def _worst(codes):
    return next((code for code in WORST_FIRST if code in codes), None)


def _check_verdicts(assignment, body):
    verdicts = {entry["export_name"]: entry for entry in body["per_export"]}
    assert len(body["per_export"]) == len(assignment)
    assert [*verdicts] == [*assignment], "in the order of the configuration"
    for name, what in assignment.items():
        status, _, stable, message = EXPECTED[what]
        entry = verdicts[name]
        assert (entry["status"], entry["error_code"]) == (status, stable), (name, what, entry)
        told = entry["error_message"]
        assert told == message or (message and told.startswith(f"{message} ")), (what, told)


def _check_screen(assignment, stderr):
    assert "\x1b" not in stderr
    for name, what in assignment.items():
        cards = re.findall(rf"^(\S) {name} ", stderr, re.MULTILINE)
        icon = "✓" if EXPECTED[what][0] == "success" else "[✗⚠]"
        assert len(cards) == 1, (what, cards)
        assert re.fullmatch(icon, cards[0]), (what, cards)


def _check(rivet, shop, seed):
    assignment = _assign(seed)
    variables = scripted(shop, assignment)
    process = start(rivet, shop, variables, f"--parallel-export-processes={AT_ONCE}")
    hanging = [name for name, what in assignment.items() if what == "hang"]
    overseer = Overseer(process.pid, shop.directory, tuple(hanging))
    overseer.start()
    code, body, stderr = finish(process, overseer)

    _check_verdicts(assignment, body)
    assert code == _worst({EXPECTED[what][1] for what in assignment.values()})
    _check_screen(assignment, stderr)
    assert overseer.looks > 10
    assert overseer.defunct == []
    # Three for each child at work; the pipes of one that has ended stay until they are read.
    assert overseer.busiest <= MOST_DESCRIPTORS + 3 * AT_ONCE
    assert overseer.most_memory < MOST_MEMORY
    left = overseer.left()
    holders = [name for name, what in assignment.items() if what == "holder"]
    # What a child leaves behind on purpose, after a good end, is its own affair.
    assert sorted(command.split()[-1] for command in left) == holders


@pytest.fixture(autouse=True)
def _no_holders(shop):
    yield
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(shop.directory):
                process.kill()
        except psutil.Error:
            continue


def test_forty_exports_get_forty_right_verdicts(rivet, shop):
    _check(rivet, shop, seed=0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 33))
def test_forty_exports_get_forty_right_verdicts_again_and_again(rivet, shop, seed):
    _check(rivet, shop, seed)


@pytest.mark.parametrize("code", [3, 5, 77])
def test_the_exit_code_is_the_worst_childs(rivet, shop, code):
    """77 stands for a code without a meaning: a 1 beside it says more."""
    variables = scripted(shop, {"a": "good", "b": f"failed:{code}", "c": "crash_early"})
    process = start(rivet, shop, variables, "--parallel-export-processes")
    overseer = Overseer(process.pid, shop.directory)
    overseer.start()
    assert finish(process, overseer)[0] == (code if code in WORST_FIRST else 1)


def _start_and_wait_for_all(rivet, shop, assignment):
    variables = scripted(shop, assignment)
    process = start(rivet, shop, variables, f"--parallel-export-processes={len(assignment)}")
    overseer = Overseer(process.pid, shop.directory)
    overseer.start()
    wait_until(lambda: all(has_begun(shop.directory, name) for name in assignment))
    return process, overseer


def test_a_child_that_ignores_the_request_to_end_is_killed(rivet, shop):
    assignment = {"one": "stubborn", "two": "hang", "three": "stubborn"}
    process, overseer = _start_and_wait_for_all(rivet, shop, assignment)
    began = time.monotonic()
    process.terminate()
    code, body, _ = finish(process, overseer)
    assert 4.5 < time.monotonic() - began < 9  # the grace of five seconds
    assert code == 143
    told = [(entry["status"], entry["error_message"]) for entry in body["per_export"]]
    forced = ("interrupted", "it did not stop in time when the run was stopped, and was killed")
    assert told == [forced, ("interrupted", "stopped with the run"), forced]
    assert overseer.left() == []


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_second_request_is_immediate(rivet, shop, first):
    names = [f"s{number}" for number in range(6)]
    process, overseer = _start_and_wait_for_all(rivet, shop, dict.fromkeys(names, "stubborn"))
    process.send_signal(first)
    time.sleep(0.5)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, body, _ = finish(process, overseer)
    assert time.monotonic() - began < 1
    assert code == 128 + first
    assert {entry["status"] for entry in body["per_export"]} == {"interrupted"}
    assert overseer.left() == []


def test_children_die_with_their_parent_unless_they_will_not_listen(rivet, shop):
    """A scripted child knows no lifeline; a real one in its place does."""
    marker = shop.directory / "hold"
    marker.touch()
    variables = scripted(shop, {"one": "real:pause@started", "two": "real:pause@started"})
    variables["RIVET_FAULT_MARKER"] = str(marker)
    process = start(rivet, shop, variables, "--parallel-export-processes")
    overseer = Overseer(process.pid, shop.directory)
    overseer.start()
    wait_until(lambda: paused(marker) == 2)
    process.kill()
    process.communicate()
    overseer.join()
    wait_until(lambda: overseer.left() == [], limit_s=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_that_comes_after_the_record_takes_nothing_back(rivet, shop, number):
    """The first child waits after its last event, the other before it has read anything."""
    marker = shop.directory / "hold"
    marker.touch()
    variables = scripted(shop, {"one": "real:pause@finished", "two": "real:pause@started"})
    variables["RIVET_FAULT_MARKER"] = str(marker)
    process = start(rivet, shop, variables, "--parallel-export-processes")
    overseer = Overseer(process.pid, shop.directory)
    overseer.start()
    wait_until(lambda: paused(marker) == 2)
    time.sleep(0.5)  # until the parent has read what they said
    process.send_signal(number)
    code, body, stderr = finish(process, overseer)
    assert code == 128 + number
    statuses = {entry["export_name"]: entry["status"] for entry in body["per_export"]}
    assert statuses == {"one": "success", "two": "interrupted"}
    assert "committed: one 1,000 rows in 1 file\n" in stderr
    assert stderr.count(" -e ") == 1
    assert len(rivet("files", "-c", shop.config).expect(0).stdout.split()) == 1
