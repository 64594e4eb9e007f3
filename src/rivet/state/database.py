"""The seam under the state store: one SQL text, two databases.

Statements are portable SQL with `:name` values and tables named `pyrivet.<table>`; each database
renders the schema its own way. Nothing here knows what the tables mean.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from rivet.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

SCHEMA: Final = "pyrivet"

Row = dict[str, Any]
Value = str | int | float | bool | datetime | None


class Statements(Protocol):
    """An open transaction."""

    def all(self, sql: str, **values: Value) -> list[Row]:
        """Return every row of a query."""
        ...

    def many(self, sql: str, **values: Value) -> list[Row]:
        """Return every row of a query that may have very many."""
        ...

    def pages(self, sql: str, **values: Value) -> Iterator[list[Row]]:
        """Yield the rows of such a query, so many at a time as take little memory."""
        ...

    def one(self, sql: str, **values: Value) -> Row | None:
        """Return the first row of a query; None where it has none."""
        ...

    def change(self, sql: str, **values: Value) -> int:
        """Run a statement and return how many rows it touched."""
        ...

    def serialise(self, key: str) -> None:
        """Wait for every other transaction that holds the same key, then hold it to the end."""
        ...


class Database(Protocol):
    """An open state database; its methods may be called from any thread.

    Every method raises `StateError` for what the database refuses, and `StateLockedError` where
    another process held it longer than the wait allows.
    """

    @property
    def location(self) -> str:
        """Where it is, for people; holds no secret."""
        ...

    def read(self) -> AbstractContextManager[Statements]:
        """Open a transaction that sees one instant and writes nothing."""
        ...

    def write(self, *, is_durable: bool = True) -> AbstractContextManager[Statements]:
        """Open a transaction that commits at the end, or rolls back on any error.

        Args:
            is_durable: False for what a power cut may take: the commit does not wait for the disk.
        """
        ...

    def revision(self) -> str | None:
        """Return the schema revision; None where there is no Rivet schema yet.

        Raises:
            StateVersionError: The tables there were made by another program.
        """
        ...

    def create(self) -> None:
        """Make the newest tables in an empty database at once, where that can be done."""
        ...

    def check_whole(self) -> None:
        """Look for damage, where that is cheap.

        Raises:
            StateError: The database is damaged.
        """
        ...

    @property
    def schema(self) -> str | None:
        """The schema its tables are in; None where the database has no schemas."""
        ...

    def migration_engine(self) -> Engine:
        """Return a SQLAlchemy engine on the same database, for migrations only."""
        ...

    def prepare_migration(self, connection: Connection) -> None:
        """Shut every other migration out until the connection's transaction ends."""
        ...

    def migrating(self) -> AbstractContextManager[None]:
        """Translate what the migration engine raises."""
        ...

    def heed(self, is_stopped: Callable[[], bool]) -> None:
        """Let waits for a server end soon after this says so."""
        ...

    def close(self) -> None:
        """Close every connection. Safe to call twice."""
        ...


def as_utc(value: datetime) -> datetime:
    """Return an instant in UTC.

    Raises:
        InternalError: The instant has no time zone.
    """
    if value.tzinfo is None:
        msg = "a timestamp without a time zone reached the state store"
        raise InternalError(msg)
    return value.astimezone(UTC)


def stored_time(value: datetime) -> str:
    """Return the text form of an instant: ISO 8601 in UTC, of one length, so that it sorts."""
    return as_utc(value).isoformat(timespec="microseconds")


def read_time(value: str | datetime) -> datetime:
    """Return a stored instant as aware UTC, from either database's form.

    Raises:
        ValueError: It is no instant.
    """
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        msg = "an instant without a zone"
        raise ValueError(msg)
    return moment.astimezone(UTC)


def optional_time(value: str | datetime | None) -> datetime | None:
    """Return `read_time` of a value that may be missing."""
    return None if value is None else read_time(value)


def optional_flag(value: int | None) -> bool | None:
    """Return a stored 0, 1 or NULL as a boolean or None."""
    return None if value is None else bool(value)


def flag(value: bool | None) -> int | None:  # noqa: FBT001
    """Return a boolean or None as it is stored: both databases keep 0, 1 or NULL."""
    return None if value is None else int(value)
