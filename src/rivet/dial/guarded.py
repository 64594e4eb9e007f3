"""A PostgreSQL connection whose waits end: in time, in bytes, and when nobody waits any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import psycopg

if TYPE_CHECKING:
    from psycopg import pq

__all__ = ["Connection"]


class Connection(psycopg.Connection[Any]):
    """psycopg's connection over one that `rivet.dial.login` opened."""

    @classmethod
    def over(cls, opened: pq.abc.PGconn, *, autocommit: bool = True) -> Self:
        """Wrap a connection; nothing is prepared under a name on it."""
        connection = cls(opened)
        connection.autocommit = autocommit
        connection.prepare_threshold = None
        return connection
