"""Every way a child can end has its one verdict."""

import signal

import pytest

from rivet.events import ExportFinished
from rivet.execution.children.launch import Ending
from rivet.execution.children.verdict import judge

TOLD = ("RIVET_SOURCE_AUTH", "the database refused the user", "check the user")
WORDS = (None, "ValueError: no", None)


def finished(status, **fields):
    known = {"total_rows": 0, "files_produced": 0, "bytes_written": 0, "duration_ms": 0}
    return ExportFinished("orders", "r1", status, peak_rss_mb=0, **known, **fields)


FAILED = finished(
    "failed", error_message="rows differ", error_code="RIVET_DATA_RECONCILE", error_hint="look"
)
STOPPED = finished("interrupted", error_message="interrupted", error_code="RIVET_INTERRUPTED")


def verdict_of(ending, **seen):
    known = {
        "finished": None,
        "has_started": True,
        "spawn_error": None,
        "last_error": None,
        "stopped_by_parent": False,
        "was_forced": False,
        "oom_kills": 0,
    }
    return judge("orders", ending, **(known | seen))


def code(number):
    return Ending(code=number)


def by(number):
    return Ending(signal=number)


KILL, TERM, SEGV = by(signal.SIGKILL), by(signal.SIGTERM), by(signal.SIGSEGV)
LOST = Ending(lost="its starter died")
SUCCESS, SKIPPED = finished("success"), finished("skipped")


@pytest.mark.parametrize("told", [SUCCESS, SKIPPED])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_good_verdict_stands_with_exit_code_0(told, stopped):
    verdict = verdict_of(code(0), finished=told, stopped_by_parent=stopped)
    assert (verdict.status, verdict.failure, verdict.is_synthetic) == (told.status, None, False)


CASES = [
    # never ran
    (None, {"spawn_error": "no more processes"}, "failed", "RIVET_CHILD_NOT_STARTED", 1, False,
     "its process could not be started: no more processes"),
    (None, {"stopped_by_parent": True}, "interrupted", "RIVET_INTERRUPTED", 1, True,
     "the run was stopped before its turn came"),
    (None, {}, "failed", "RIVET_CHILD_LOST", 1, False, "nothing is known of its process"),
    # lost
    (LOST, {}, "failed", "RIVET_CHILD_LOST", 1, False,
     "how its process ended is not known: its starter died"),
    (LOST, {"finished": SUCCESS}, "failed", "RIVET_CHILD_LOST", 1, False,
     "it reported success, but how its process ended is not known: its starter died"),
    # exit code 0 that is no success
    (code(0), {}, "failed", "RIVET_CHILD_NO_VERDICT", 1, False,
     "ended with exit code 0 but never told its verdict"),
    (code(0), {"finished": finished("splendid")}, "failed", "RIVET_CHILD_NO_VERDICT", 1, False,
     "told a verdict that is not known: 'splendid'"),
    # other exit codes without a verdict
    (code(3), {"finished": SUCCESS}, "failed", "RIVET_CHILD_EXIT", 3, False,
     "reported success, then ended with exit code 3"),
    (code(3), {"finished": SKIPPED, "last_error": TOLD}, "failed", "RIVET_SOURCE_AUTH", 3, False,
     "reported skipped, then ended with exit code 3: the database refused the user"),
    (code(1), {"last_error": TOLD}, "failed", "RIVET_SOURCE_AUTH", 1, False,
     "the database refused the user"),
    (code(2), {"last_error": TOLD, "has_started": False}, "failed", "RIVET_SOURCE_AUTH", 2, True,
     "the database refused the user (before it started)"),
    (code(1), {"last_error": WORDS, "has_started": False}, "failed", "RIVET_CHILD_EXIT", 1, False,
     "ended with exit code 1 before it started: ValueError: no"),
    (code(4), {}, "failed", "RIVET_CHILD_EXIT", 4, False, "ended with exit code 4"),
    (code(255), {}, "failed", "RIVET_CHILD_EXIT", 255, False, "ended with exit code 255"),
    # signals
    (KILL, {}, "failed", "RIVET_CHILD_KILLED", 137, True, "was killed by SIGKILL"),
    (KILL, {"has_started": False}, "failed", "RIVET_CHILD_KILLED", 137, True,
     "was killed by SIGKILL before it started"),
    (KILL, {"oom_kills": 1}, "failed", "RIVET_CHILD_OUT_OF_MEMORY", 137, False,
     "was killed by the kernel for want of memory"),
    (code(137), {"oom_kills": 1}, "failed", "RIVET_CHILD_OUT_OF_MEMORY", 137, False,
     "was killed by the kernel for want of memory"),
    (KILL, {"oom_kills": 2, "finished": SUCCESS}, "failed", "RIVET_CHILD_OUT_OF_MEMORY", 137,
     False, "reported success, then was killed by the kernel for want of memory"),
    (SEGV, {"oom_kills": 1}, "failed", "RIVET_CHILD_KILLED", 139, True, "was killed by SIGSEGV"),
    (code(139), {}, "failed", "RIVET_CHILD_KILLED", 139, True,
     "was killed by SIGSEGV (exit code 139)"),
    (by(63), {}, "failed", "RIVET_CHILD_KILLED", 191, True, "was killed by signal 63"),
    (TERM, {}, "interrupted", "RIVET_INTERRUPTED", 143, True, "was killed by SIGTERM"),
    (code(130), {}, "interrupted", "RIVET_INTERRUPTED", 130, True,
     "was killed by SIGINT (exit code 130)"),
    (TERM, {"finished": SUCCESS}, "interrupted", "RIVET_INTERRUPTED", 143, True,
     "reported success, then was killed by SIGTERM"),
    # stopped by the parent
    (TERM, {"stopped_by_parent": True}, "interrupted", "RIVET_INTERRUPTED", 143, True,
     "stopped with the run"),
    (code(0), {"stopped_by_parent": True, "has_started": False}, "interrupted",
     "RIVET_INTERRUPTED", 1, True, "stopped with the run before it started"),
    (code(1), {"stopped_by_parent": True, "finished": SUCCESS}, "interrupted",
     "RIVET_INTERRUPTED", 1, True,
     "stopped with the run: it reported success, then ended with exit code 1"),
    (code(3), {"stopped_by_parent": True, "finished": FAILED}, "interrupted",
     "RIVET_DATA_RECONCILE", 3, False, "rows differ"),
    (KILL, {"stopped_by_parent": True, "was_forced": True, "oom_kills": 1}, "interrupted",
     "RIVET_INTERRUPTED", 137, True,
     "it did not stop in time when the run was stopped, and was killed"),
    (LOST, {"stopped_by_parent": True}, "interrupted", "RIVET_INTERRUPTED", 1, True,
     "stopped with the run"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_parent_tells_what_the_child_did_not(case):
    ending, seen, *expected = case
    verdict = verdict_of(ending, **seen)
    failure = verdict.failure
    found = [verdict.status, failure.code, failure.exit_code, failure.retryable, failure.message]
    assert found == expected
    assert verdict.is_synthetic


@pytest.mark.parametrize(
    ("ending", "exit_code"), [(code(0), 1), (code(3), 3), (KILL, 137), (LOST, 1)]
)
def test_a_failure_the_child_reported_is_its_own(ending, exit_code):
    verdict = verdict_of(ending, finished=FAILED, last_error=TOLD, oom_kills=1)
    failure = verdict.failure
    assert (verdict.status, verdict.is_synthetic) == ("failed", False)
    assert (failure.code, failure.message, failure.hint) == (
        "RIVET_DATA_RECONCILE",
        "rows differ",
        "look",
    )
    assert failure.exit_code == exit_code


@pytest.mark.parametrize("stopped", [False, True])
def test_a_child_that_says_it_was_interrupted_was(stopped):
    verdict = verdict_of(code(143), finished=STOPPED, stopped_by_parent=stopped)
    assert (verdict.status, verdict.is_synthetic) == ("interrupted", False)
    assert (verdict.failure.code, verdict.failure.exit_code) == ("RIVET_INTERRUPTED", 143)


def test_a_reported_failure_without_words_takes_those_of_standard_error():
    mute = finished("failed", exit_code=5)
    told = verdict_of(code(0), finished=mute, last_error=TOLD).failure
    assert (told.code, told.message, told.hint, told.exit_code) == (*TOLD, 5)
    assert verdict_of(code(1), finished=mute).failure.code == "RIVET_CHILD_EXIT"


def test_a_wish_to_try_again_is_kept():
    again = finished("failed", error_message="cut off", is_retryable=True)
    assert verdict_of(code(1), finished=again).failure.retryable


@pytest.mark.parametrize(
    ("oom_kills", "words"), [(None, "usually memory ran out"), (0, "not the kernel"), (1, "lower")]
)
def test_the_hint_of_a_kill_says_only_what_is_known(oom_kills, words):
    assert words in verdict_of(KILL, oom_kills=oom_kills).failure.hint


def test_messages_are_masked_and_harmless():
    told = ("RIVET_X", "no\x1b[2J postgresql://u:secret@h", "hint\x07 password=secret")
    failure = verdict_of(code(1), last_error=told).failure
    assert failure.message == "no\\u{1b}[2J postgresql://***@h"
    assert failure.hint == "hint\\u{07} password=***"


def test_a_message_without_end_is_cut():
    endless = finished("failed", error_message="no " * 100_000)
    assert len(verdict_of(code(1), finished=endless).failure.message) == 4096
