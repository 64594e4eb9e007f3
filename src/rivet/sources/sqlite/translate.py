"""SQLite's result codes as Rivet's errors: one table, one context manager.

Must not look at message text to decide a class; the driver's own errors without a result code are
the one exception.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import (
    RivetError,
    SourceAuthError,
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
)
from rivet.redact import cleanse, foreign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.sources.sqlite.watch import Watch

_LOW_BYTE: Final = 0xFF

ERRORS: Final[dict[int, tuple[type[SourceError], str, str]]] = {
    sqlite3.SQLITE_AUTH: (SourceAuthError, "may not be read", "check the file's permissions"),
    sqlite3.SQLITE_PERM: (SourceAuthError, "may not be read", "check the file's permissions"),
    sqlite3.SQLITE_BUSY: (
        SourceUnavailableError,
        "is locked by a writer",
        "run again when the writer is done, or put the database into WAL mode",
    ),
    sqlite3.SQLITE_LOCKED: (
        SourceUnavailableError,
        "is locked by a writer",
        "run again when the writer is done, or put the database into WAL mode",
    ),
    sqlite3.SQLITE_NOTADB: (
        SourceError,
        "is not a SQLite database, or is encrypted",
        "check the path; encrypted databases cannot be read",
    ),
    sqlite3.SQLITE_CORRUPT: (
        SourceError,
        "is damaged",
        "run 'PRAGMA integrity_check' on it with the sqlite3 shell",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        SourceError,
        "cannot be opened",
        "check the permissions of the file and its folder; "
        "a database in WAL mode needs its -wal and -shm files beside it",
    ),
    sqlite3.SQLITE_READONLY: (
        SourceError,
        "cannot be read without writing to it",
        "if a writer crashed, open the database once with its own program; "
        "a query must be a SELECT",
    ),
    sqlite3.SQLITE_IOERR: (
        SourceInterruptedError,
        "could not be read from the disk",
        "check the disk or the network share, then run again",
    ),
    sqlite3.SQLITE_FULL: (
        SourceUnavailableError,
        "needs more room for temporary files",
        "free space in the temporary folder (SQLITE_TMPDIR), then run again",
    ),
    sqlite3.SQLITE_TOOBIG: (
        SourceError,
        "holds a value above SQLite's own limit",
        "leave the column out with a query",
    ),
}


@contextmanager
def translated(watch: Watch, *, doing: str) -> Iterator[None]:
    """Turn the driver's errors into Rivet's, for one call or more into the database.

    Args:
        watch: Names the database and knows why a statement was interrupted.
        doing: What the statement is for, such as `reading table 'orders'`.

    Raises:
        SourceError: Or the subclass that the result code stands for; itself for a text that is
            not UTF-8.

    Source:
        SQLite manual, "Result and Error Codes".
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            told = _translate(error, watch, doing)
            cleanse(error)
            raise told from error
        # The driver's text decoder is the one that gives no code, and its message quotes the value.
        msg = f"{doing}: a text in the database {watch.path} is not valid UTF-8"
        raise SourceError(msg, hint="read the column as binary: CAST(... AS BLOB)") from None
    except sqlite3.Error as error:
        told = _translate(error, watch, doing)
        cleanse(error)
        raise told from error


def _translate(error: sqlite3.Error, watch: Watch, doing: str) -> RivetError:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    primary = code & _LOW_BYTE if code is not None else None
    if primary == sqlite3.SQLITE_INTERRUPT:
        return _interrupted(watch, doing)
    if primary in ERRORS:
        cls, says, hint = ERRORS[primary]
        return cls(f"{doing}: the database {watch.path} {says}", hint=hint)
    return SourceQueryError(
        f"{doing}: SQLite refused the statement: {foreign(str(error))}",
        hint="try the statement with the sqlite3 shell on the same file",
    )


def _interrupted(watch: Watch, doing: str) -> RivetError:
    if watch.is_expired:
        msg = f"{doing}: no answer within the statement timeout of {watch.timeout_s:g} s"
        return SourceStatementTimeoutError(
            msg, hint="raise tuning.statement_timeout_s, or make the query cheaper"
        )
    msg = f"{doing}: the statement was cancelled"
    return SourceInterruptedError(msg, hint="run again")
