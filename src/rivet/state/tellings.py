"""Delivery receipt of a report: an invocation answers for its runs until it has ended with 0.

Whoever goes by exit codes has no report of an invocation that ended otherwise (docs/adr/0045).
Beside a state file the receipt is a file that is locked while the invocation lives and marked by
the last thing it does; in a shared PostgreSQL it is an advisory lock and the column itself.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from mmap import mmap
from typing import TYPE_CHECKING, Final, Protocol

from rivet.errors import StateError
from rivet.openfile import open_regular
from rivet.state.locks import KEEP_IDLE
from rivet.state.postgres import PostgresDatabase, lock_key, translated
from rivet.state.privatefolder import make_state_folder

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from rivet.state.store import StateStore

TELLINGS_DIR: Final = "tellings"
_CODE_BYTES: Final = 16
_SPARE: Final = _CODE_BYTES - 1
_DELIVERED: Final = ord("=")
_ENDED: Final = "|"


class Delivery(Enum):
    """What became of the report of an invocation."""

    DELIVERED = "it ended with 0"
    PENDING = "it has not ended"
    TOLD = "it told its report and ended with another code"
    LOST = "it ended before its report was told"


class Telling(Protocol):
    """An invocation that answers for its runs."""

    def end(self, exit_code: int) -> None:
        """Note that the report was told, and the exit code that follows at once; then `close`.

        A process that is about to end leaves closing to that.
        """
        ...

    def close(self) -> None:
        """Answer no longer, with nothing told; safe to call twice."""
        ...


def open_telling(store: StateStore, invocation: str) -> Telling:
    """Begin to answer for the runs of an invocation.

    Args:
        store: Where the runs are on record.
        invocation: A name that no other has.

    Raises:
        StateError: It cannot be noted.
    """
    store.answers_as = invocation
    if isinstance(store.database, PostgresDatabase):
        return _on_server(store.database, invocation)
    folder = _folder(store)
    try:
        make_state_folder(folder.parent)
        make_state_folder(folder)
        _forget_unused(folder, store)
        return _FileTelling(folder / invocation)
    except OSError as error:
        msg = f"the folder {folder} cannot be written: {error.strerror}"
        hint = f"make {folder} writable for this user, or set RIVET_STATE_URL"
        raise StateError(msg, code="RIVET_STATE_NOT_WRITABLE", hint=hint) from error


def delivery_of(store: StateStore, told_by: str) -> Delivery:
    """Return what became of the report of the invocation that answers for a run.

    Raises:
        StateError: It cannot be found out.
    """
    invocation, _, code = told_by.partition(_ENDED)
    if isinstance(store.database, PostgresDatabase):
        if not _is_free(store, invocation):
            return Delivery.PENDING
        return Delivery.TOLD if code else Delivery.LOST
    path = _folder(store) / invocation
    try:
        return _delivery_by_file(path)
    except OSError as error:
        msg = f"the file {path} cannot be read: {error.strerror}"
        raise StateError(msg, hint=f"make {path} readable for this user") from error


def _folder(store: StateStore) -> Path:
    return store.base_dir.resolve() / ".rivet" / TELLINGS_DIR


def _is_locked_now(descriptor: int) -> bool:
    """Take the lock where it is free; False where a live process has it."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_marked(descriptor: int) -> bool:
    return os.pread(descriptor, 1, 0) == bytes([_DELIVERED])


def _shared(descriptor: int) -> mmap | None:
    """Return a file as memory; None where its file system cannot do that."""
    with suppress(OSError, ValueError):
        os.pwrite(descriptor, bytes(_CODE_BYTES), 0)
        return mmap(descriptor, _CODE_BYTES)
    return None


def _delivery_by_file(path: Path) -> Delivery:
    try:
        descriptor = open_regular(path, flags=os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Delivery.DELIVERED
    try:
        is_free = _is_locked_now(descriptor)
        if _is_marked(descriptor) or (is_free and not os.fstat(descriptor).st_nlink):
            return Delivery.DELIVERED  # perhaps a moment ago
        if not is_free:
            return Delivery.PENDING
        told = os.pread(descriptor, _CODE_BYTES, 0).strip(b"\0")
        return Delivery.TOLD if told else Delivery.LOST
    finally:
        os.close(descriptor)


def _forget_unused(folder: Path, store: StateStore) -> None:
    """Remove the files of invocations that have ended and have nothing more to tell."""
    names = os.listdir(folder)  # noqa: PTH208 - names alone
    needed = store.tellers() if names else frozenset()
    for name in names:
        with suppress(FileNotFoundError):
            descriptor = open_regular(folder / name, flags=os.O_RDWR | os.O_NOFOLLOW)
            try:
                is_over = name not in needed or _is_marked(descriptor)
                if is_over and _is_locked_now(descriptor):
                    (folder / name).unlink()
            finally:
                os.close(descriptor)


class _FileTelling:
    """The receipt beside a state file.

    That a report was delivered is one byte in memory that the file shares: a system call, and be it
    the removal of the file, can be waited for, and a kill that comes meanwhile would be too late
    for the receipt and in time for the exit code.
    """

    def __init__(self, path: Path) -> None:
        import fcntl

        self._path = path
        while True:
            self._descriptor = open_regular(path, flags=os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.fstat(self._descriptor).st_nlink:
                break
            os.close(self._descriptor)  # another one has tidied it away in between
        self._shared = _shared(self._descriptor)

    def end(self, exit_code: int) -> None:
        with suppress(OSError):  # then the runs are told again, by whoever comes next
            if exit_code:
                os.pwrite(self._descriptor, str(exit_code).encode(), 0)
            elif self._shared is None:
                self._path.unlink()
            else:
                os.pwrite(self._descriptor, b"\0", _SPARE)
                self._shared[_SPARE] = 0  # what has to be waited for is waited for here
                self._shared[0] = _DELIVERED
                return  # with the lock: nothing comes between this and the end of the process
        self.close()

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()  # which has the file open, and so the lock, as well
            self._shared = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            self.close()


@dataclass(slots=True)
class _ServerTelling:
    """The receipt in a shared PostgreSQL: one idle transaction."""

    database: PostgresDatabase
    invocation: str
    engine: Engine
    connection: Connection

    def end(self, exit_code: int) -> None:
        told_by = f"{self.invocation}{_ENDED}{exit_code}" if exit_code else None
        with suppress(StateError), translated(self.database.location):
            self.connection.exec_driver_sql(
                "UPDATE pyrivet.runs SET told_by = %(told_by)s WHERE told_by = %(invocation)s",
                {"told_by": told_by, "invocation": self.invocation},
            )
            self.connection.commit()
        self.close()

    def close(self) -> None:
        with suppress(StateError), translated(self.database.location):
            self.connection.close()  # a lock ends with its connection, however that ends
        self.engine.dispose()


def _on_server(database: PostgresDatabase, invocation: str) -> _ServerTelling:
    purpose = f"rivet report: pid {os.getpid()} on host {socket.gethostname()}"
    engine = database.lock_engine(purpose)
    with translated(database.location):
        connection = engine.connect()
        connection.exec_driver_sql(KEEP_IDLE)
        key = lock_key(f"telling {invocation}")
        connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({key})")
    return _ServerTelling(database, invocation, engine, connection)


def _is_free(store: StateStore, invocation: str) -> bool:
    key = lock_key(f"telling {invocation}")
    with store.database.write() as db:
        row = db.one("SELECT pg_try_advisory_xact_lock(:key) AS is_free", key=key)
    return row is not None and bool(row["is_free"])
