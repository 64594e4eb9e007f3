"""A state database in one SQLite file, by the standard library's driver.

Every writer begins IMMEDIATE, so that two processes never upgrade a read lock into a deadlock, and
commits are synchronous: a recorded part survives a power cut. Must not know what the tables mean.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final

from rivet.errors import StateError, StateLockedError, StateVersionError
from rivet.openfile import check_regular, open_regular
from rivet.redact import foreign
from rivet.state.database import SCHEMA, stored_time
from rivet.state.decoding import UnreadableRowError, damaged, unreadable
from rivet.state.filesystems import network_filesystem
from rivet.state.fresh import REVISION, TABLES
from rivet.state.pages import PAGE_BYTES, Tally, TooLongError
from rivet.state.privatefolder import make_state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from rivet.state.database import Row, Value

BUSY_TIMEOUT_S: Final = 30.0
_CHECKED_BYTES: Final = 4 * 1024 * 1024
# Nobody may have locked a file by the time that whoever made it closes it.
_preparing: Final = threading.Lock()


class SqliteDatabase:
    """One file, one connection, one lock: threads take turns, processes wait for each other."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._turn = threading.RLock()
        self._is_checked = False
        with translated(path):
            _prepare_file(path)
            self._connection = self._connect()

    @property
    def location(self) -> str:
        """The path of the file."""
        return str(self.path)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, PAGE_BYTES)
        try:
            connection.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout_s * 1000)}")
            self._write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Turn the write-ahead log on.

        The switch ignores the busy timeout while other processes open the same fresh file, so it
        is asked for again until the time is over.
        """
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)
                continue
            if mode == "wal":
                return
            msg = f"state file {self.path} cannot use a write-ahead log (the journal is '{mode}')"
            raise StateError(
                msg,
                hint="keep the configuration on a local disk, or set RIVET_STATE_URL to a "
                "PostgreSQL database",
            )

    @contextmanager
    def read(self) -> Iterator[SqliteStatements]:
        """Open a transaction that sees one instant."""
        with self._transaction("BEGIN DEFERRED") as statements:
            yield statements

    @contextmanager
    def write(self, *, is_durable: bool = True) -> Iterator[SqliteStatements]:
        """Open a transaction that has the write lock from its first statement."""
        with self._turn, translated(self.path):
            if not is_durable:
                self._connection.execute("PRAGMA synchronous = NORMAL")
            try:
                with self._transaction("BEGIN IMMEDIATE") as statements:
                    yield statements
            finally:
                if not is_durable:
                    self._connection.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[SqliteStatements]:
        with self._turn, translated(self.path):
            try:
                self._connection.execute(begin)
                yield SqliteStatements(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:  # a request to stop may come right after the beginning, too
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def revision(self) -> str | None:
        """Return the schema revision; None for an empty file."""
        with self.read() as statements:
            rows = statements.all("SELECT name, type, sql FROM sqlite_master")
            names = {row["name"] for row in rows if row["type"] == "table"}
            if "alembic_version" in names:
                row = statements.one("SELECT version_num FROM alembic_version")
                found = None if row is None else str(row["version_num"])
                made = {" ".join(str(row["sql"]).split()) for row in rows}
                if found is None or (found == REVISION and not made.issuperset(TABLES)):
                    raise damaged(self.location, "its tables are not those that it was made with")
                return found
        if rows:
            msg = f"state file {self.path} holds the tables of another program"
            raise StateVersionError(msg, hint="move the file away; Rivet makes its own")
        return None

    def heed(self, is_stopped: Callable[[], bool]) -> None:
        """Do nothing: no wait for a file is long."""

    def create(self) -> None:
        """Make the newest tables in an empty file, in one transaction with their revision."""
        with self.write() as statements:
            if statements.one("SELECT 1 FROM sqlite_master") is not None:
                return
            for statement in TABLES:
                statements.change(statement)
            statements.change("INSERT INTO alembic_version VALUES (:revision)", revision=REVISION)

    def check_whole(self) -> None:
        """Look for damage, once, in a file small enough to be read through at once."""
        with self._turn, translated(self.path):
            if self._is_checked or self.path.stat().st_size > _CHECKED_BYTES:
                return
            verdict = self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise damaged(self.location, "its pages do not agree with one another")
        self._is_checked = True

    def migration_engine(self) -> Engine:
        """Return an engine on the same file whose transactions begin IMMEDIATE."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool

        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    @property
    def schema(self) -> None:
        """None: a file has no schemas."""
        return

    def prepare_migration(self, connection: Connection) -> None:
        """Do nothing: the transaction began IMMEDIATE."""

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """Translate what the migration engine raises."""
        from sqlalchemy.exc import DBAPIError

        with translated(self.path):
            try:
                yield
            except DBAPIError as error:
                if isinstance(error.orig, sqlite3.Error):
                    raise error.orig from error
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._turn, suppress(sqlite3.Error):
            self._connection.close()


class SqliteStatements:
    """An open transaction on the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _run(self, sql: str, values: dict[str, Value]) -> sqlite3.Cursor:
        bound = {
            name: stored_time(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        return self._connection.execute(_rendered(sql), bound)

    def all(self, sql: str, **values: Value) -> list[Row]:
        """Return every row of a query."""
        return [row for page in self.pages(sql, **values) for row in page]

    def many(self, sql: str, **values: Value) -> list[Row]:
        """Return every row of a query that may have very many."""
        return self.all(sql, **values)

    def pages(self, sql: str, **values: Value) -> Iterator[list[Row]]:
        """Yield the rows of such a query, so many at a time as take little memory."""
        with closing(self._run(sql, values)) as cursor:
            names = [column[0] for column in cursor.description]
            tally = Tally()
            page: list[Row] = []
            for row in cursor:
                tally.add(row)
                page.append(dict(zip(names, row, strict=True)))
                if len(page) >= tally.next_rows:
                    yield page
                    page = []
            yield page

    def one(self, sql: str, **values: Value) -> Row | None:
        """Return the first row of a query; None where it has none."""
        with closing(self._run(sql, values)) as cursor:
            row = cursor.fetchone()
            names = [column[0] for column in cursor.description]
        return None if row is None else dict(zip(names, row, strict=True))

    def change(self, sql: str, **values: Value) -> int:
        """Run a statement and return how many rows it touched."""
        return self._run(sql, values).rowcount

    def serialise(self, key: str) -> None:
        """Do nothing: the write lock already excludes every other writer."""


@cache
def _rendered(sql: str) -> str:
    return sql.replace(f"{SCHEMA}.", "")


def _prepare_file(path: Path) -> None:
    kind = network_filesystem(path.parent)
    if kind is not None:
        msg = f"state file {path} would be on a network filesystem ({kind}), where locks fail"
        raise StateError(
            msg,
            hint="keep the configuration on a local disk, or set RIVET_STATE_URL to a "
            "PostgreSQL database",
        )
    make_state_folder(path.parent)
    with _preparing:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            os.close(open_regular(path, flags=flags))
        except FileExistsError:
            check_regular(path, flags=os.O_RDWR | os.O_NOFOLLOW)


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    }


_NOT_WRITABLE: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)
# None: the driver itself does not take a value, such as text that is not UTF-8.
_DAMAGED: Final = frozenset(
    {
        *(None, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
        *(sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT),
        sqlite3.SQLITE_TOOBIG,
    }
)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn errors of the driver and the disk into Rivet's, by their codes.

    Source:
        SQLite, "Result and Error Codes"; the low byte of an extended code is its family.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        family = None if code is None else code & 0xFF
        if family in _DAMAGED:
            raise damaged(str(path), foreign(str(error))) from error
        if family in _NOT_WRITABLE:
            raise _not_writable(path, str(error)) from error
        if _is_busy(error):
            msg = f"state file {path} is held by another process"
            hint = "wait for the other Rivet to finish, then run the same command again"
            raise StateLockedError(msg, hint=hint) from error
        msg = f"state file {path} failed: {foreign(str(error))}"
        hint = f"check the free space and the health of the disk that holds {path.parent}"
        raise StateError(msg, hint=hint) from error
    except UnicodeDecodeError as error:
        raise damaged(str(path), "a text in it is not UTF-8") from error
    except UnreadableRowError as error:
        raise unreadable(str(path), error) from error
    except TooLongError as error:
        msg = f"state file {path} holds more than can be read at once: {error}"
        raise StateError(msg, hint="make fewer files with larger chunks") from error
    except OSError as error:
        raise _not_writable(path, error.strerror or type(error).__name__) from error


def _not_writable(path: Path, reason: str) -> StateError:
    return StateError.with_code(
        "RIVET_STATE_NOT_WRITABLE",
        f"state file {path} cannot be opened for writing: {reason}",
        hint=f"make {path} and its folder writable for this user, or set RIVET_STATE_URL",
    )
