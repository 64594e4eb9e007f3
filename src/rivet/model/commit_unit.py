"""Commit units: what a stream of changes puts on record at once, and how far that goes.

A unit is whole transactions of the source: parts of any number of relations, and the one place in
the source's history where they end. The order is carried by types: only the state makes a
`RecordedPosition`, and only such a place may be acknowledged to the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rivet.model.part import RecordedPart, StoredPart
    from rivet.model.source import Position


@dataclass(frozen=True, slots=True)
class StreamClaim:
    """The right to commit units of an export's stream; a later claim takes it away.

    Attributes:
        number: Rises with every claim; part names have it, so that no two claims share a name.
        next_unit: Number of the first unit that is not on record.
        position: Where the stream goes on; None where it begins anew.
    """

    run_id: str
    export_name: str
    number: int
    next_unit: int
    position: Position | None


@dataclass(frozen=True, slots=True)
class CommitUnit:
    """Stored parts of whole transactions, to be put on record at once.

    Attributes:
        number: `StreamClaim.next_unit`, and then one more each time.
        parts: By relation, in order; ordinals differ within the unit. Empty for progress alone.
        position: Where the unit ends; not where the stream is already.
    """

    number: int
    parts: Mapping[str, Sequence[StoredPart]]
    position: Position


@dataclass(frozen=True, slots=True)
class RecordedPosition:
    """A place up to which everything is on record: the source may forget what lies before it."""

    export_name: str
    unit_number: int
    position: Position


@dataclass(frozen=True, slots=True)
class RecordedUnit:
    """A commit unit that the state knows: from here on its parts are data.

    Attributes:
        number: From 1, without gaps, over all runs of the stream.
        claim_number: That of the claim it was committed by.
        end: Where it ends, to be acknowledged.
        parts: Those of all its relations; none where only progress was made.
    """

    run_id: str
    number: int
    claim_number: int
    end: RecordedPosition
    recorded_at: datetime
    parts: tuple[RecordedPart, ...] = ()
