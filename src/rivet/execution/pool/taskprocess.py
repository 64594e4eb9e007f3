"""Worker process: runs the chunk tasks that it reads as JSON, and tells what becomes of them.

`python -m rivet.execution.pool.taskprocess` reads one task per line from its standard input and
writes JSON lines: `progress`, `stored`, and in the end `result` or `failure`. Secrets come by the
names that the tasks have, from its environment. It knows neither a state nor a configuration file.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, TextIO

from rivet.destinations import open_destination
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
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from rivet.execution.worker.contract import ChunkTask, ReadProgress
    from rivet.model.chunk import Claim
    from rivet.model.part import StoredPart


class TaskProcess:
    """Runs tasks one after another; those of one run share a session and the open destination.

    Args:
        env: Where secrets are, by the names that tasks have for them.
        out: Takes the lines.
    """

    def __init__(self, env: Mapping[str, str], out: TextIO) -> None:
        self._env = env
        self._out = out
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
            destination = open_destination(task.sink)
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


def main(lines: Iterable[str], out: TextIO, env: Mapping[str, str]) -> None:
    """Run tasks until there are no more lines."""
    with TaskProcess(env, out) as process:
        for line in lines:
            process.run(line)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout, os.environ)
