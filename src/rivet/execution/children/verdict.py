"""Exit status of one export's child process: exactly one outcome, whatever was seen of it.

Pure: what was seen goes in, a verdict comes out. How the process ended is the authority; what the
child said of itself explains it.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rivet.execution.children.capture import presentable
from rivet.execution.children.launch import Ending
from rivet.model.report import Failure

if TYPE_CHECKING:
    from rivet.events import ExportFinished
    from rivet.execution.children.capture import ToldError

__all__ = ["NO_VERDICT", "Verdict", "judge"]

_NOT_STARTED: Final = "RIVET_CHILD_NOT_STARTED"
_KILLED: Final = "RIVET_CHILD_KILLED"
_OUT_OF_MEMORY: Final = "RIVET_CHILD_OUT_OF_MEMORY"
_LOST: Final = "RIVET_CHILD_LOST"
NO_VERDICT: Final = "RIVET_CHILD_NO_VERDICT"
_EXIT: Final = "RIVET_CHILD_EXIT"
_INTERRUPTED: Final = "RIVET_INTERRUPTED"

_GOOD: Final = frozenset({"success", "skipped"})
_BAD: Final = frozenset({"failed", "interrupted"})
_RETRYABLE_EXIT: Final = 2
_SIGNAL_BASE: Final = 128

_FEWER: Final = "run fewer at once: `--parallel-export-processes=N`"
_LESS_MEMORY: Final = f"{_FEWER}, set `max_memory_mb`, or lower `tuning.batch_size_memory_mb`"
_CRASH: Final = "a crash in compiled code: run it alone with `PYTHONFAULTHANDLER=1` and report it"
_SIGNAL_HINTS: Final = {
    signal.SIGSEGV: _CRASH,
    signal.SIGABRT: _CRASH,
    signal.SIGILL: _CRASH,
    signal.SIGFPE: _CRASH,
    signal.SIGBUS: "usually a full disk or a file cut short under a reader: look at free space",
    signal.SIGXCPU: "it used up its processor time: see `ulimit -t`",
    signal.SIGHUP: "its terminal or session was closed",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one export.

    Attributes:
        status: `success`, `skipped`, `failed` or `interrupted`.
        failure: Why; None exactly for `success` and `skipped`. Its exit code is never 0.
        is_synthetic: Not the child's own verdict: it told none, or its end belied it.
    """

    status: str
    failure: Failure | None
    is_synthetic: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    ending: Ending
    finished: ExportFinished | None
    has_started: bool
    last_error: ToldError | None
    oom_kills: int | None

    @property
    def killed_by(self) -> int | None:
        """The signal that ended it, also where a shell in between told it as 128 + n."""
        if self.ending.signal is not None:
            return self.ending.signal
        number = (self.ending.code or 0) - _SIGNAL_BASE
        return number if number in _SIGNALS else None

    @property
    def how(self) -> str:
        """Such as `was killed by SIGKILL` or `ended with exit code 3`."""
        number = self.killed_by
        if number is None:
            return f"ended with exit code {self.ending.exit_code}"
        words = f"was killed by {Ending(signal=number).signal_name}"
        return words if self.ending.signal else f"{words} (exit code {self.ending.code})"

    @property
    def has_told_good(self) -> bool:
        return self.finished is not None and self.finished.status in _GOOD

    def story(self, how: str) -> str:
        """Tell how it ended after how far it had come."""
        if self.finished is not None:
            return f"reported {self.finished.status}, then {how}"
        return how if self.has_started else f"{how} before it started"


_SIGNALS: Final = frozenset(int(number) for number in signal.Signals)


def judge(  # noqa: PLR0913 - all that can be seen of a child
    export_name: str,
    ending: Ending | None,
    *,
    finished: ExportFinished | None,
    has_started: bool,
    spawn_error: str | None,
    last_error: ToldError | None,
    stopped_by_parent: bool,
    was_forced: bool,
    oom_kills: int | None,
) -> Verdict:
    """Give the verdict on one export's process.

    Args:
        export_name: For the commands in hints; messages do not name the export.
        ending: How the process ended; None where there was none.
        finished: The child's own verdict, where it told one.
        has_started: Whether it told that its run began.
        spawn_error: Why it could not be started.
        last_error: How it named its failure on its standard error.
        stopped_by_parent: The parent asked it to end, or never gave it its turn.
        was_forced: The parent killed it because it did not end when asked.
        oom_kills: Kernel kills for want of memory no other child explains; None is unknown.

    Returns:
        The one verdict; messages are masked and harmless to a terminal.
    """
    if spawn_error is not None:
        message = f"its process could not be started: {presentable(spawn_error)}"
        return _synthetic("failed", _failure(_NOT_STARTED, message, hint=_FEWER))
    if ending is None:
        return _never_ran(stopped_by_parent=stopped_by_parent)
    seen = _Seen(ending, finished, has_started, last_error, oom_kills)
    if finished is not None and seen.has_told_good and ending.code == 0:
        return Verdict(finished.status, None, is_synthetic=False)
    if stopped_by_parent:
        return _stopped(seen, was_forced=was_forced)
    if finished is not None and finished.status in _BAD:
        return Verdict(finished.status, _own_failure(seen, finished), is_synthetic=False)
    return _belied(seen, export_name)


def _belied(seen: _Seen, export_name: str) -> Verdict:
    """Judge a process that told no verdict, or one that its end belies."""
    if seen.ending.lost is not None:
        return _lost(seen, seen.ending.lost, export_name)
    if seen.killed_by is not None:
        return _killed(seen, seen.killed_by, export_name)
    if seen.ending.code == 0:
        return _silent(seen, export_name)
    return _synthetic("failed", _exited(seen))


def _never_ran(*, stopped_by_parent: bool) -> Verdict:
    if stopped_by_parent:
        message = "the run was stopped before its turn came"
        return _synthetic("interrupted", _failure(_INTERRUPTED, message, is_retryable=True))
    message = "nothing is known of its process"
    return _synthetic("failed", _failure(_LOST, message))


def _stopped(seen: _Seen, *, was_forced: bool) -> Verdict:
    finished = seen.finished
    if finished is not None and finished.status in _BAD:
        own = _own_failure(seen, finished)
        return Verdict("interrupted", own, is_synthetic=finished.status != "interrupted")
    if was_forced:
        message = "it did not stop in time when the run was stopped, and was killed"
    elif seen.has_told_good:
        message = f"stopped with the run: it {seen.story(seen.how)}"
    elif seen.has_started:
        message = "stopped with the run"
    else:
        message = "stopped with the run before it started"
    code = seen.ending.exit_code or 1
    return _synthetic(
        "interrupted", _failure(_INTERRUPTED, message, exit_code=code, is_retryable=True)
    )


def _own_failure(seen: _Seen, finished: ExportFinished) -> Failure:
    """Return the failure the child reported, with the exit code its process really had."""
    code, message, hint = finished.error_code, finished.error_message, finished.error_hint
    if not message and finished.status == "interrupted":
        code, message = code or _INTERRUPTED, "interrupted"
    elif not message and seen.last_error is not None:
        code, message, hint = code or seen.last_error[0], seen.last_error[1], seen.last_error[2]
    told = 0 if seen.ending.lost is not None else seen.ending.exit_code
    return _failure(
        code or _EXIT,
        message or f"it reported a failure without a reason and {seen.how}",
        hint=hint,
        exit_code=told or finished.exit_code or 1,
        is_retryable=finished.is_retryable or finished.status == "interrupted",
    )


def _lost(seen: _Seen, why: str, export_name: str) -> Verdict:
    message = f"how its process ended is not known: {presentable(why)}"
    if seen.finished is not None:
        message = f"it reported {seen.finished.status}, but {message}"
    return _synthetic("failed", _failure(_LOST, message, hint=_look(export_name)))


def _killed(seen: _Seen, number: int, export_name: str) -> Verdict:
    code = seen.ending.exit_code
    killed = _failure(_KILLED, seen.story(seen.how), exit_code=code, is_retryable=True)
    if number in {signal.SIGTERM, signal.SIGINT}:
        hint = "the run did not ask for it: a person, a supervisor or a container's stop did"
        return _synthetic("interrupted", replace(killed, code=_INTERRUPTED, hint=hint))
    if number == signal.SIGKILL:
        return _synthetic("failed", _killed_outright(seen, killed))
    return _synthetic("failed", replace(killed, hint=_signal_hint(number, export_name)))


def _killed_outright(seen: _Seen, killed: Failure) -> Failure:
    if seen.oom_kills:
        message = seen.story("was killed by the kernel for want of memory")
        return replace(
            killed,
            code=_OUT_OF_MEMORY,
            message=presentable(message),
            hint=_LESS_MEMORY,
            retryable=False,
        )
    if seen.oom_kills is None:
        hint = f"usually memory ran out (then {_FEWER}), or a person or a supervisor killed it"
    else:
        hint = "not the kernel for want of memory: a person, a supervisor or a memory guard did"
    return replace(killed, hint=hint)


def _silent(seen: _Seen, export_name: str) -> Verdict:
    """Exit code 0 without a verdict that is known is no success."""
    if seen.finished is None:
        message = "ended with exit code 0 but never told its verdict"
    else:
        message = f"told a verdict that is not known: '{seen.finished.status}'"
    return _synthetic("failed", _failure(NO_VERDICT, message, hint=_look(export_name)))


def _exited(seen: _Seen) -> Failure:
    code = seen.ending.exit_code
    told, message, hint = seen.last_error or (None, "", None)
    if told is None or seen.finished is not None:
        story = seen.story(seen.how)
        message = f"{story}: {message}" if message else story
    elif not seen.has_started:
        message += " (before it started)"
    return _failure(told or _EXIT, message, hint=hint, exit_code=code)


def _signal_hint(number: int, export_name: str) -> str:
    hint = _SIGNAL_HINTS.get(signal.Signals(number)) if number in _SIGNALS else None
    return hint or _look(export_name)


def _look(export_name: str) -> str:
    return f"run it alone to see all it says: -e {presentable(export_name)}"


def _failure(
    code: str,
    message: str,
    *,
    hint: str | None = None,
    exit_code: int = 1,
    is_retryable: bool = False,
) -> Failure:
    return Failure(
        code=presentable(code),
        message=presentable(message),
        hint=presentable(hint) if hint else None,
        exit_code=exit_code,
        retryable=is_retryable or exit_code == _RETRYABLE_EXIT,
    )


def _synthetic(status: str, failure: Failure) -> Verdict:
    return Verdict(status, failure, is_synthetic=True)
