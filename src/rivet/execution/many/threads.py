"""Thread pool of exports, each with database sessions of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rivet.config.models import ExportConfig
    from rivet.execution.stopping import StopRequest
    from rivet.model.report import ExportReport

    _Ended = queue.SimpleQueue["ExportReport | BaseException | None"]

_LOOK_S: Final = 0.2
_CANCEL_AGAIN_S: Final = 1.0


def run_threads(
    exports: Sequence[ExportConfig],
    run_one: Callable[[ExportConfig], ExportReport],
    *,
    max_concurrent: int,
    stop: StopRequest,
) -> dict[str, ExportReport]:
    """Run exports side by side and return the reports of those that were started.

    Args:
        exports: In the order to start them.
        run_one: Runs one to its verdict; safe from several threads.
        max_concurrent: How many threads.
        stop: On a request no further export is started, and what runs is cancelled.

    Raises:
        KeyboardInterrupt: It was asked twice to stop: nothing is waited for any more.
    """
    ended: _Ended = queue.SimpleQueue()
    waiting = deque(exports)
    count = min(max_concurrent, len(exports))
    for number in range(count):
        threading.Thread(
            target=_work,
            args=(waiting, run_one, ended, stop),
            name=f"rivet-export-{number}",
            daemon=True,
        ).start()
    reports: dict[str, ExportReport] = {}
    cancel_at_s = 0.0
    while count:
        if stop.count > 1:
            raise KeyboardInterrupt
        if stop.is_set and time.monotonic() >= cancel_at_s:
            # Again and again: a statement may have begun just after the last time.
            stop.cancel_all()
            cancel_at_s = time.monotonic() + _CANCEL_AGAIN_S
        try:
            item = ended.get(timeout=_LOOK_S)
        except queue.Empty:
            continue
        if item is None:
            count -= 1
        elif isinstance(item, BaseException):
            raise item
        else:
            reports[item.export_name] = item
    return reports


def _work(
    waiting: deque[ExportConfig],
    run_one: Callable[[ExportConfig], ExportReport],
    ended: _Ended,
    stop: StopRequest,
) -> None:
    while not stop.is_set:
        try:
            export = waiting.popleft()
        except IndexError:
            break
        try:
            ended.put(run_one(export))
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
            ended.put(error)
    ended.put(None)
