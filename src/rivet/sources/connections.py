"""Connections that a server still takes, where an engine's sessions can count them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class CountsConnections(Protocol):
    """Sessions that can tell how many more of their kind the server would take."""

    def free_connections(self) -> int:
        """Return the number, as of now; others may take them.

        Raises:
            SourceError: The server cannot be asked.
        """
        ...

    def free_connections_of_user(self) -> int | None:
        """Return how many the limits of the user and the database leave; None without a limit.

        Raises:
            SourceError: The server cannot be asked.
        """
        ...
