"""Supervisor of child processes: one event loop, no thread per child, no wait that blocks.

The loop drains every pipe all the time, so that no child ever waits for its parent; it reaps each
child when it ends, whatever the order; and every child leaves it with exactly one verdict.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rivet.events import ExportFinished, ExportLaunched, ExportStarted, from_line
from rivet.execution.children.capture import CaptureBudget, StderrCapture
from rivet.execution.children.launch import Order
from rivet.execution.children.lines import LineSplitter
from rivet.execution.children.outofmemory import OutOfMemoryWatch
from rivet.execution.children.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rivet.events import Emit, Event
    from rivet.execution.children.launch import Ending, Launcher
    from rivet.execution.children.verdict import Verdict
    from rivet.execution.stopping import StopRequest
    from rivet.model.report import ChildOutput

_BLOCK_BYTES: Final = 256 * 1024
_GRACE_S: Final = 5.0
# What a child started may hold its pipes after it ended; nobody waits for that.
_LINGER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Preparation:
    """One export to start: everything of an `Order` but the pipes.

    Attributes:
        inherit: Makes the descriptors the child inherits, and its environment. The descriptors are
            closed here once the child has them; those in `kept` stay open.
    """

    export_name: str
    run_id: str
    command: Sequence[str]
    directory: Path
    inherit: Callable[[], Inheritance]


@dataclass(frozen=True, slots=True)
class Inheritance:
    """Descriptors for one child, and the environment that names them."""

    environment: Mapping[str, str]
    closed_after: tuple[int, ...]
    kept: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one export's process went.

    Attributes:
        run_id: The run that it told to have begun, or would have begun.
        pid: Its process as it told itself; None where it told nothing.
        finished: The child's own verdict, where it told one.
        was_launched: Whether there was a process at all.
        is_certainly_dead: Whether that process was seen to end.
    """

    export_name: str
    run_id: str
    pid: int | None
    verdict: Verdict
    finished: ExportFinished | None
    output: ChildOutput | None
    was_launched: bool
    is_certainly_dead: bool


@dataclass(slots=True)
class _Child:
    key: int
    preparation: Preparation
    capture: StderrCapture
    lines: LineSplitter = field(default_factory=LineSplitter)
    open_pipes: set[int] = field(default_factory=set)
    finished: ExportFinished | None = None
    has_started: bool = False
    run_id: str | None = None
    pid: int | None = None
    ending: Ending | None = None
    linger_until_s: float = 0.0
    was_stopped: bool = False
    was_forced: bool = False
    spawn_error: str | None = None


class Watch:
    """Runs preparations as children, at most `max_concurrent` at a time, in their order.

    Args:
        launcher: Starts them; the caller closes it.
        emit: Takes the children's events as they come, except `finished`, which is no verdict yet.
        conclude: Called with each outcome as soon as it is known.
        stop: Looked at all the time; on a request the children are ended in order.
    """

    def __init__(
        self,
        launcher: Launcher,
        *,
        max_concurrent: int,
        emit: Emit,
        conclude: Callable[[Outcome], None],
        stop: StopRequest,
    ) -> None:
        self._launcher = launcher
        self._max_concurrent = max_concurrent
        self._emit = emit
        self._conclude = conclude
        self._stop = stop
        self._selector = selectors.DefaultSelector()
        self._live: dict[int, _Child] = {}
        self._budget = CaptureBudget()
        self._memory = OutOfMemoryWatch()
        self._memory_kills = 0
        self._kill_at_s: float | None = None

    def run(self, preparations: Sequence[Preparation]) -> None:
        """Run them all; returns when every one has its verdict and nothing of it is left."""
        waiting = deque(enumerate(preparations))
        self._selector.register(self._launcher.fileno(), selectors.EVENT_READ, self._reap)
        self._selector.register(self._stop.fileno(), selectors.EVENT_READ, self._stop.heard)
        try:
            while waiting or self._live:
                self._obey(waiting)
                while waiting and len(self._live) < self._max_concurrent and not self._stop.is_set:
                    self._launch(*waiting.popleft())
                self._wait()
                self._bury()
        finally:
            for child in self._live.values():
                for pipe in tuple(child.open_pipes):
                    self._close_pipe(child, pipe)
            self._selector.close()

    # Starting

    def _launch(self, key: int, preparation: Preparation) -> None:
        child = _Child(key, preparation, StderrCapture(preparation.export_name, self._budget))
        opened: list[int] = []
        try:
            pid = self._start(child, opened)
        except OSError as error:
            child.spawn_error = error.strerror or str(error)
            self._end(child)
            return
        finally:
            for descriptor in opened:
                os.close(descriptor)
        self._live[key] = child
        self._emit(ExportLaunched(preparation.export_name, preparation.run_id, pid))

    def _start(self, child: _Child, opened: list[int]) -> int:
        """Start the child and watch its pipes; `opened` gets what the caller closes."""
        preparation = child.preparation
        inheritance = preparation.inherit()
        opened.extend(inheritance.closed_after)
        out_reader, out_writer = os.pipe()
        opened += [out_reader, out_writer]
        error_reader, error_writer = os.pipe()
        opened += [error_reader, error_writer]
        launched = self._launcher.launch(
            Order(
                key=child.key,
                command=preparation.command,
                environment=inheritance.environment,
                directory=preparation.directory,
                stdout=out_writer,
                stderr=error_writer,
                inherited=(*inheritance.closed_after, *inheritance.kept),
            )
        )
        for reader, take in ((out_reader, self._take_events), (error_reader, self._take_words)):
            opened.remove(reader)
            os.set_blocking(reader, False)
            child.open_pipes.add(reader)
            self._selector.register(reader, selectors.EVENT_READ, (child, take))
        return launched.pid

    # Waiting

    def _wait(self) -> None:
        for key, _ in self._selector.select(self._patience_s()):
            if isinstance(key.data, tuple):
                child, take = key.data
                self._read(child, key.fd, take)
            else:
                key.data()

    def _patience_s(self) -> float | None:
        moments = [child.linger_until_s for child in self._live.values() if child.ending]
        if self._kill_at_s is not None:
            moments.append(self._kill_at_s)
        if not self._live:
            return 0
        return max(min(moments) - time.monotonic(), 0) if moments else None

    def _read(self, child: _Child, pipe: int, take: Callable[[_Child, bytes], None]) -> None:
        if pipe not in child.open_pipes:
            return  # closed earlier in this round
        try:
            data = os.read(pipe, _BLOCK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            take(child, data)
        else:
            self._close_pipe(child, pipe)

    def _close_pipe(self, child: _Child, pipe: int) -> None:
        self._selector.unregister(pipe)
        os.close(pipe)
        child.open_pipes.discard(pipe)

    def _take_events(self, child: _Child, data: bytes) -> None:
        for line in child.lines.feed(data):
            self._take_line(child, line)

    def _take_line(self, child: _Child, line: bytes) -> None:
        event = from_line(line.decode("utf-8", "replace"))
        # A child speaks for its own export only: what names another is noise.
        if event is None or event.export_name != child.preparation.export_name:
            return
        if isinstance(event, ExportFinished):
            child.finished = event
            return
        if isinstance(event, ExportLaunched):
            child.pid = event.pid
            return  # told when it was
        if isinstance(event, ExportStarted):
            child.has_started, child.run_id = True, event.run_id
        self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        with suppress(Exception):  # what a listener does wrong is not the export's fault
            self._emit(event)

    def _take_words(self, child: _Child, data: bytes) -> None:
        child.capture.feed(data)

    def _reap(self) -> None:
        for key, ending in self._launcher.endings():
            child = self._live[key]
            child.ending = ending
            child.linger_until_s = time.monotonic() + _LINGER_S

    # Stopping

    def _obey(self, waiting: deque[tuple[int, Preparation]]) -> None:
        """End the children when that was asked for: TERM, then KILL after the grace."""
        if not self._stop.is_set:
            return
        now = time.monotonic()
        if self._kill_at_s is None:
            self._kill_at_s = now + _GRACE_S
            self._signal_all(signal.SIGTERM)
        while waiting:
            key, preparation = waiting.popleft()
            child = _Child(key, preparation, StderrCapture(preparation.export_name, self._budget))
            child.was_stopped = True
            self._end(child)
        if self._stop.count > 1 or now >= self._kill_at_s:
            self._kill_at_s = now + _GRACE_S
            self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._live.values():
            if child.ending is None:
                child.was_stopped = True
                child.was_forced = child.was_forced or number == signal.SIGKILL
                self._launcher.send_signal(child.key, number)

    # Ending

    def _bury(self) -> None:
        now = time.monotonic()
        for child in tuple(self._live.values()):
            if child.ending is None or (child.open_pipes and now < child.linger_until_s):
                continue
            for pipe in tuple(child.open_pipes):
                self._close_pipe(child, pipe)
            del self._live[child.key]
            self._end(child)

    def _end(self, child: _Child) -> None:
        for line in child.lines.finish():
            self._take_line(child, line)
        output = child.capture.finish()
        verdict = judge(
            child.preparation.export_name,
            child.ending,
            finished=child.finished,
            has_started=child.has_started,
            spawn_error=child.spawn_error,
            last_error=child.capture.error(),
            stopped_by_parent=child.was_stopped,
            was_forced=child.was_forced,
            oom_kills=self._new_memory_kills(child),
        )
        self._conclude(
            Outcome(
                export_name=child.preparation.export_name,
                run_id=child.run_id or child.preparation.run_id,
                pid=child.pid,
                verdict=verdict,
                finished=child.finished,
                output=output,
                was_launched=child.ending is not None,
                is_certainly_dead=child.ending is not None and child.ending.lost is None,
            )
        )

    def _new_memory_kills(self, child: _Child) -> int | None:
        """Return how many kills for want of memory no other child has explained yet."""
        kills = self._memory.kills()
        if kills is None:
            return None
        new = kills - self._memory_kills
        killed = 128 + signal.SIGKILL  # as a shell in between tells it, too
        if new > 0 and child.ending is not None and child.ending.exit_code == killed:
            self._memory_kills += 1
        return max(new, 0)
