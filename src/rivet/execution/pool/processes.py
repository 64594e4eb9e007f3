"""Process pool of chunk tasks: workers in other processes, spoken to by JSON lines.

What a task needs travels with it; secrets are given to the processes when they start, by name.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from rivet.errors import SourceInterruptedError, UnsupportedPlanError
from rivet.execution.worker.contract import ReadProgress
from rivet.execution.worker.taskjson import (
    error_from_json,
    part_from_json,
    result_from_json,
    task_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rivet.execution.worker.contract import ChunkResult, ChunkTask, TaskChannel

COMMAND: Final = (sys.executable, "-m", "rivet.execution.pool.taskprocess")
_INHERITED: Final = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ")
_END_S: Final = 5.0


class WorkerProcess:
    """A process that runs one task at a time; see `taskprocess.py` for what it is told.

    Attributes:
        is_at_work: It has a task whose end it has not told.

    Args:
        secrets: What its tasks name, by those names.
        env: The environment that it inherits the little from that programs need.
        command: What it is started by.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        env: Mapping[str, str] = os.environ,
        command: Sequence[str] = COMMAND,
    ) -> None:
        kept = {name: env[name] for name in _INHERITED if name in env}
        self.is_at_work = False
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, **secrets},
            encoding="utf-8",
        )

    def run(self, task: ChunkTask, channel: TaskChannel) -> ChunkResult:
        """Have one task run.

        Raises:
            RivetError: It failed.
            SourceInterruptedError: The process ended before the task did.
        """
        process = self._process
        self.is_at_work = True
        if process.stdin is not None and process.stdout is not None:
            with suppress(OSError):  # its end is seen below
                process.stdin.write(task_to_json(task) + "\n")
                process.stdin.flush()
            for line in process.stdout:
                what, _, body = line.partition(" ")
                self.is_at_work = what not in {"result", "failure"}
                if what == "result":
                    return result_from_json(body, task)
                if what == "failure":
                    raise error_from_json(body)
                if what == "stored":
                    channel.stored(task.claim, part_from_json(body))
                elif what == "progress":
                    channel.progressed(task.claim, ReadProgress(*json.loads(body)))
        msg = f"the process of a worker ended in the middle of chunk {task.claim.chunk.index}"
        raise SourceInterruptedError(msg)

    @property
    def is_ready(self) -> bool:
        """Whether it can run another task."""
        return not self.is_at_work and self._process.poll() is None

    def cancel(self) -> None:
        """End it now; the server ends what it ran once its connections are gone."""
        self._process.terminate()

    def begin_to_end(self) -> None:
        """Have it end: it closes its connections and drops what it has begun."""
        process = self._process
        if self.is_at_work:
            process.terminate()
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()

    def close(self, timeout_s: float = _END_S) -> None:
        """Let it end; one that does not in time is killed."""
        self.begin_to_end()
        process = self._process
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


class ProcessWorkers:
    """Worker pool of processes: as many as tasks run at a time, each used again and again.

    Args:
        secrets: What tasks name, by those names; see `SessionPool.source`.
        tasks_each: How many tasks a process runs before another one takes its place; None is any
            number.
        command: What the processes are started by.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        *,
        tasks_each: int | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._secrets = secrets
        self._command = command
        self._tasks_each = tasks_each
        self._idle: queue.LifoQueue[tuple[WorkerProcess, int]] = queue.LifoQueue()
        self._at_work: set[WorkerProcess] = set()
        self._numbers = itertools.count(1)
        self.is_cancelled = False

    def run(self, task: ChunkTask, channel: TaskChannel) -> ChunkResult:
        """Run one task in an idle process, or in a new one.

        Raises:
            UnsupportedPlanError: The chunks share an instant that only this process can enter.
            RivetError: It failed.
        """
        if task.is_one_of_many and task.holds_snapshot and task.snapshot is None:
            msg = "sessions of other processes cannot enter the instant that the chunks share"
            hint = "set `consistency: run`, where the engine can, or `consistency: chunk`"
            raise UnsupportedPlanError(msg, hint=hint, export=task.plan.export_name)
        number = 1 if task.snapshot is not None else next(self._numbers)
        try:
            process, done = self._idle.get_nowait()
        except queue.Empty:
            process, done = WorkerProcess(self._secrets, command=self._command), 0
        self._at_work.add(process)
        try:
            result = process.run(task, channel)
        finally:
            self._at_work.discard(process)
            if process.is_ready and done + 1 != self._tasks_each and not self.is_cancelled:
                self._idle.put((process, done + 1))
            else:
                process.close()
        # Numbers of a process are its own: two of them may well have the same.
        return replace(result, snapshot=replace(result.snapshot, number=number))

    def cancel_all(self) -> None:
        """End all tasks for good; callable from any thread."""
        self.is_cancelled = True
        for process in tuple(self._at_work):
            process.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        idle = []
        with suppress(queue.Empty):
            while True:
                idle.append(self._idle.get_nowait()[0])
        for process in idle:
            process.begin_to_end()
        end_by = time.monotonic() + _END_S  # of all of them
        for process in idle:
            process.close(max(end_by - time.monotonic(), 0.1))
