"""`rivet run` as the child of another Rivet: events on standard output, no words of its own."""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rivet.cli.given import note_config
from rivet.cli.guard import at_last
from rivet.errors import UnsupportedPlanError
from rivet.events import Progress, to_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.config.models import Config
    from rivet.events import Event
    from rivet.execution.context import RunOptions

_EVENTS: Final = "RIVET_IPC_EVENTS"


def is_child() -> bool:
    """Whether events are wanted on standard output."""
    return bool(os.environ.get(_EVENTS))


@dataclass(frozen=True, slots=True)
class Request:
    """A `rivet run`, as far as it can be asked of a child."""

    config: Path
    names: Sequence[str] | None
    params: Mapping[str, str]
    options: RunOptions


def recognised(arguments: Sequence[str]) -> Request | None:
    """Read the very command line that a parent writes; None for any other.

    Saves a child the command line's parser, which is a tenth of what a small export costs.
    """
    from rivet.execution.children.command import FLAGS
    from rivet.execution.context import RunOptions

    match list(arguments):
        case ["run", "--config", config, "--export", name, *flags] if FLAGS.keys() >= set(flags):
            given: dict[str, Any] = {FLAGS[flag]: True for flag in flags}
            if "reconcile" in given:
                given["validate"] = True
            return Request(Path(config), (name,), {}, replace(RunOptions(), **given))
        case _:
            return None


def run_as_child(request: Request) -> None:
    """Run what a parent asked for, or a person who set `RIVET_IPC_EVENTS`.

    Raises:
        RivetError: It failed before any export could give its own verdict.
        SystemExit: An export failed; its `finished` event has told why.
    """
    from rivet.config.load import load_config
    from rivet.execution.children import context as told
    from rivet.execution.children import lifeline
    from rivet.execution.many.invocation import Assignment, run_exports
    from rivet.execution.telling.failures import failure_of_run
    from rivet.model.source import SharedSnapshot

    events = EventPipe()
    note_config(str(request.config))
    if held := os.environ.pop(lifeline.VARIABLE, None):
        lifeline.hold_on(int(held))
    assignment = None
    if descriptor := os.environ.pop(told.VARIABLE, None):
        context = told.read(int(descriptor))
        loaded = told.config_of(context, request.config.expanduser().absolute())
        snapshot = SharedSnapshot.from_json(context.snapshot) if context.snapshot else None
        assignment = Assignment(
            context.run_id,
            context.started_at,
            max_memory_mb=context.max_memory_mb,
            max_connections=context.max_connections,
            snapshot=snapshot,
            answers_as=context.run_aggregate_id,
        )
    else:
        loaded = load_config(request.config, params=request.params)
    _refuse_stream(loaded, request.names)
    ended = run_exports(
        loaded,
        names=request.names,
        options=request.options,
        emit=events.emit,
        assignment=assignment,
    )
    if ended.telling is not None:
        at_last(ended.telling.end)
    if ended.interrupt is not None:
        raise ended.interrupt
    error = failure_of_run(ended.report)
    if error is not None:
        raise SystemExit(error.exit_status)


def _refuse_stream(config: Config, names: Sequence[str] | None) -> None:
    from rivet.execution.selection import select_exports, streaming

    if streams := streaming(select_exports(config, names)):
        msg = f"export '{streams[0]}' writes on the standard output, where its events go"
        raise UnsupportedPlanError(msg, hint=f"unset {_EVENTS}")


class EventPipe:
    """Standard output, for events alone: what anybody else prints goes to standard error.

    Nothing that goes wrong here fails an export. While nobody reads, of several totals only the
    latest is written, before the next event of another kind.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._latest: Progress | None = None
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Write one line. From any thread."""
        with self._lock:
            if isinstance(event, Progress) and not self._has_room():
                self._latest = event
                return
            kept, self._latest = self._latest, None
            if kept is not None and not isinstance(event, Progress):
                self._write(kept)
            self._write(event)

    def _write(self, event: Event) -> None:
        data = memoryview(f"{to_line(event)}\n".encode("utf-8", "replace"))
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]

    def _has_room(self) -> bool:
        try:
            _, writable, _ = select.select([], [self._descriptor], [], 0)
        except (OSError, ValueError):
            return False
        return bool(writable)
