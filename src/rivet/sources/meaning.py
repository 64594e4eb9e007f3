"""What a session tells of the meaning of a user's SQL; see `sources/base.py` for what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from rivet.model.relation import Relation

__all__ = ["TellsSettings"]


@runtime_checkable
class TellsSettings(Protocol):
    """Sessions whose settings may give a user's SQL another meaning than the server's own."""

    def settings_note(self, relation: Relation) -> str | None:
        """Return what a relation means otherwise than to other clients, by name; or None.

        Raises:
            SourceError: The source cannot be asked whether it is a view.
        """
        ...
