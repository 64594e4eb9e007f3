"""What the state store keeps of change streams: commit units, and how far the source was told.

The order of a change stream, and what a crash between two steps leaves:

    store the parts of a unit      files that nobody refers to; the next claim gives other names
    commit_unit                    all of it or nothing; the stream goes on behind it from here on
    manifests
    acknowledge                    the source is told once more; it knows nothing of units
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import StateDamagedError
from rivet.state import commit_units, watermarks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rivet.model.commit_unit import CommitUnit, RecordedPosition, RecordedUnit, StreamClaim
    from rivet.model.owner import Owner
    from rivet.model.part import RecordedPart
    from rivet.state.database import Database, Statements


class StreamRecord:
    """The part of a state store that change streams use; each method is one transaction."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.database = database
        self._clock = clock

    def claim_stream(self, run_id: str, export_name: str) -> StreamClaim:
        """Take an export's stream for a running run; every earlier claim on it is superseded.

        Raises:
            RefusedError: The run was superseded.
            InternalError: It is over, or a run of chunks.
            StateDamagedError: The units are lost that led to where the stream is, as they are after
                `rivet repair --state`, which has no manifests of streams.
        """
        with self.database.write() as db:
            self._refuse_lost(db, export_name)
            return commit_units.claim(db, run_id, export_name)

    @staticmethod
    def _refuse_lost(db: Statements, export_name: str) -> None:
        if commit_units.last(db, export_name) is not None:
            return
        led_by = watermarks.run_of(db, export_name)
        if led_by is not None and not watermarks.knows(db, export_name, led_by):
            msg = f"export '{export_name}': the commit units are lost that led to where it is"
            hint = f"`rivet state reset -e {export_name}` begins its stream anew"
            raise StateDamagedError(msg, hint=hint, export=export_name)

    def commit_unit(
        self,
        claim: StreamClaim,
        unit: CommitUnit,
        *,
        owner: Owner | None = None,
    ) -> RecordedUnit:
        """Make the stored parts of a unit data, and its end the export's watermark, all or none.

        A unit that is on record with the same end is given back as it is: nothing is recorded
        twice, whoever asks again.

        Args:
            claim: Compare-and-set: it must be the newest on its stream, its run still running.
            unit: The next one.
            owner: What the position belongs to.

        Raises:
            RefusedError: The run or the claim was superseded, or that unit has another end on
                record; nothing was recorded.
            InternalError: Units are missing before it, or it goes nowhere.
        """
        with self.database.write() as db:
            return commit_units.commit(db, claim, unit, self._clock(), owner=owner)

    def acknowledge(self, end: RecordedPosition) -> None:
        """Note that the source was told of a recorded place; a power cut may take the note.

        Raises:
            InternalError: That place is not on record.
        """
        with self.database.write(is_durable=False) as db:
            commit_units.acknowledge(db, end)

    def unacknowledged(self, export_name: str) -> tuple[RecordedPosition, ...]:
        """Return the ends of the units that the source may not know of, in order."""
        with self.database.read() as db:
            return commit_units.unacknowledged(db, export_name)

    def last_unit(self, export_name: str) -> RecordedPosition | None:
        """Return where the newest unit of a stream ends; None before the first."""
        with self.database.read() as db:
            return commit_units.last(db, export_name)

    def unit_parts(
        self, export_name: str, relation: str | None = None, *, after: int = 0
    ) -> tuple[RecordedPart, ...]:
        """Return the parts of a stream in order, over all its runs.

        Args:
            export_name: The export.
            relation: Parts of this one only; None for all.
            after: Number of a unit; only parts of later ones.

        Raises:
            StateDamagedError: Not all that were recorded are there.
        """
        with self.database.read() as db:
            return commit_units.parts_of(db, export_name, relation, after)
