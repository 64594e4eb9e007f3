"""Event journal: every event is passed on, and those of a run's story are kept in the state."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rivet.errors import RivetError
from rivet.events import Progress, ProgressInit, to_line
from rivet.redact import redact_json

if TYPE_CHECKING:
    from rivet.events import Emit, Event
    from rivet.execution.progress import RunProgress
    from rivet.state.store import StateStore

_FLUSH_AT: Final = frozenset({"chunk_completed", "retry_attempted", "success_written"})


class Journal:
    """An `Emit` that writes through to the state in small groups.

    Events wait until the next step that changes the record anyway, so a quick run costs a handful
    of transactions and a long one is never far behind. Progress is not kept.
    """

    def __init__(self, state: StateStore, emit: Emit, ledger: RunProgress) -> None:
        self._state = state
        self._emit = emit
        self._ledger = ledger
        self._waiting: list[str] = []
        self._lock = threading.Lock()  # chunks side by side tell of themselves

    def __call__(self, event: Event) -> None:
        """Keep the event, then pass it on; neither can fail the export it tells of."""
        if not isinstance(event, Progress | ProgressInit):
            with self._lock:
                self._waiting.append(redact_json(to_line(event)))
            if event.type in _FLUSH_AT:
                self.flush()
        with suppress(Exception):  # what a listener does wrong is not the export's fault
            self._emit(event)

    def flush(self) -> None:
        """Write what waits; before the run is in the state there is nothing to write to.

        What cannot be written waits for the next time: the steps themselves have been recorded,
        and the run must not fail for want of their story.
        """
        with self._lock:
            if not self._ledger.is_begun or not self._waiting:
                return
            with suppress(RivetError):
                self._state.journal(self._ledger.run_id, self._ledger.export_name, *self._waiting)
                self._waiting.clear()
