"""What a session may say of the instant it reads in: the claim needs more than a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from rivet.model.relation import Relation


@runtime_checkable
class ProvesInstants(Protocol):
    """Sessions that can tell whether all that is read in an instant is of that instant.

    Sessions of other engines see one file, and so one instant.
    """

    def unproven(self, relation: Relation) -> str | None:
        """Return why reads of a relation may not be of one instant; None where they are.

        Asked after `begin`, where the session has begun.

        Raises:
            SourceError: The source cannot be asked.
        """
        ...
