"""Worker process: runs the chunk tasks that it reads as JSON, and tells what becomes of them.

`python -m rivet.execution.pool.taskprocess` reads one task per line from its standard input and
writes JSON lines: `progress`, `stored`, and in the end `result` or `failure`. Secrets come by the
names that the tasks have, from its environment. It knows neither a state nor a configuration file.
A signal ends it like a run that is interrupted, and so does the end of whoever reads its lines:
what it has begun is taken back, and calls of the destination are waited for only briefly.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn, Self, TextIO

from rivet.destinations import open_destination
from rivet.destinations.deadlines import never
from rivet.errors import InternalError, RivetError
from rivet.execution.pool.threads import ThreadWorkers
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import SessionPool
from rivet.execution.worker.taskjson import (
    error_to_json,
    part_to_json,
    result_to_json,
    task_from_json,
)
from rivet.redact import redact
from rivet.sources import load_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType, TracebackType

    from rivet.execution.worker.contract import ChunkTask, ReadProgress
    from rivet.model.chunk import Claim
    from rivet.model.part import StoredPart


class TaskProcess:
    """Runs tasks one after another; those of one run share a session and the open destination.

    Args:
        env: Where secrets are, by the names that tasks have for them.
        out: Takes the lines.
        interrupted: Whether somebody asked to stop, so that no call is waited for long.
    """

    def __init__(
        self, env: Mapping[str, str], out: TextIO, interrupted: Callable[[], bool] = never
    ) -> None:
        self._env = env
        self._out = out
        self._interrupted = interrupted
        self._run_id: str | None = None
        self._workers: ThreadWorkers | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def run(self, line: str) -> None:
        """Run one task, given as JSON; what it fails with is told."""
        try:
            task = task_from_json(line)
            result = self._workers_of(task).run(task, self)
            self._tell("result", result_to_json(result))
        except RivetError as error:
            self._tell("failure", error_to_json(error))
        except Exception as error:  # noqa: BLE001 - whoever waits for the task is told
            msg = f"unexpected {type(error).__name__}: {redact(str(error))}"
            self._tell("failure", error_to_json(InternalError(msg)))

    def progressed(self, _claim: Claim, progress: ReadProgress) -> None:
        """Tell how far a task is."""
        told = [progress.rows, progress.bytes_read, progress.bytes_written]
        self._tell("progress", json.dumps(told))

    def stored(self, _claim: Claim, part: StoredPart) -> None:
        """Tell of a part that is durable, before anything else happens."""
        self._tell("stored", part_to_json(part))

    def _workers_of(self, task: ChunkTask) -> ThreadWorkers:
        run_id = task.claim.run_id
        if self._workers is None or self._run_id != run_id:
            self._open.close()
            self._open = ExitStack()
            engine = load_engine(task.source.engine)
            address = task.source.resolve(self._env)
            sessions = SessionPool(engine, address, task.source.settings)
            destination = open_destination(task.sink, interrupted=self._interrupted)
            self._open.callback(destination.close)
            self._open.enter_context(sessions)
            snapshots = SnapshotHolder(sessions, task.snapshot)
            if task.snapshot is not None:
                snapshots.begin(task.plan.relation, 1, may_renew=False)
            self._run_id, self._workers = run_id, ThreadWorkers(snapshots, destination)
        return self._workers

    def _tell(self, what: str, body: str) -> None:
        self._out.write(f"{what} {body}\n")
        self._out.flush()


class EndBySignal:
    """Handler of signals: the first one unwinds the process, and no other disturbs it in that.

    Attributes:
        has_come: One has.
    """

    def __init__(self) -> None:
        self.has_come = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Unwind.

        Raises:
            SystemExit: It is the first.
        """
        if not self.has_come:
            self.has_come = True
            raise SystemExit(128 + number)

    def listen(self) -> None:
        """Handle Ctrl-C, which is for the whole group of processes, and SIGTERM from here on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)


def end_with_reader(descriptor: int) -> None:
    """Have SIGTERM sent to this process once nobody reads a pipe any more; a file has no reader."""

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, 0)  # errors are always told
        poll.poll()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="rivet-lifeline", daemon=True).start()


def main(lines: Iterable[str], out: TextIO, env: Mapping[str, str]) -> NoReturn:
    """Run tasks until there are no more lines, or a signal comes; then end the process."""
    end, code = EndBySignal(), 0
    try:
        end.listen()
        end_with_reader(sys.stdout.fileno())
        with TaskProcess(env, out, lambda: end.has_come) as process:
            for line in lines:
                process.run(line)
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BrokenPipeError:
        code = 128 + signal.SIGPIPE  # nobody waits for what it tells
    # Everything is closed; a thread that hangs in a call must not be waited for.
    os._exit(code)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout, os.environ)
