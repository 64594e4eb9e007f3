"""Sessions that can tell which database they are on, by its own word and not by its address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import xxhash

if TYPE_CHECKING:
    from rivet.model.owner import SourceIdentity
    from rivet.model.relation import Relation


@runtime_checkable
class TellsIdentity(Protocol):
    """Sessions of engines whose databases have an identity."""

    def identity(self, relation: Relation) -> SourceIdentity:
        """Return which database this is and what the relation is in it; one round trip.

        What the user may not ask is not known, and said so.

        Raises:
            SourceError: The source cannot be asked at all.
        """
        ...


@runtime_checkable
class TakesPlaces(Protocol):
    """Sessions whose server may be the successor of another one."""

    def succeeds(self, history: str) -> bool:
        """Whether this server has done all that another one had done by then.

        Args:
            history: `SourceIdentity.history` of the other.

        Raises:
            SourceError: The server cannot be asked.
        """
        ...


def query_name(query: str, places: str = "") -> str:
    """Return what a query is called in an identity: its digest, and where its names are sought."""
    name = f"query xxh3:{xxhash.xxh3_64_hexdigest(query.encode())}"
    return f"{name} in {places}" if places else name
