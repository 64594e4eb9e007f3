"""The publisher interface: the commit of a run towards its readers, idempotent by run id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.model.finish import Receipt
    from rivet.model.part import RecordedPart
    from rivet.model.plan import ExportPlan
    from rivet.model.progress import Progress
    from rivet.model.source import Position
    from rivet.model.window import Window


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published of a run, besides its parts."""

    plan: ExportPlan
    finished_at: datetime
    schema_fingerprint: str
    position: Position | None
    window: Window | None = None
    not_covered: tuple[str, ...] = ()
    source_row_count: int | None = None
    progress: Progress | None = None


class Publisher(Protocol):
    """Shows a run to readers; the run has said in the state before that it is about to."""

    def publish(self, run: Publication, parts: tuple[RecordedPart, ...]) -> Receipt:
        """Publish a run; once more for the same run changes nothing.

        Raises:
            DestinationError: A write failed; `complete` brings it to its end.
        """
        ...

    def complete(
        self, run_id: str, export_name: str, parts: tuple[RecordedPart, ...]
    ) -> Receipt | None:
        """Bring what a run that died had begun to publish to its end.

        Returns:
            None where no reader can have seen anything of it.

        Raises:
            DestinationError: That cannot be known, or a write failed.
            RefusedError: Others publish there now.
        """
        ...

    def withdraw(self, run_id: str, folder: str) -> bool:
        """Take back what belongs to one run alone, which cannot be brought to its end.

        Args:
            run_id: The run.
            folder: Where what readers should not find is set aside.

        Returns:
            Whether anything was there.

        Raises:
            DestinationError: That cannot be known, or it cannot be moved.
        """
        ...
