"""One process runs an export at a time: held means alive, whatever any clock says.

Beside a state file the lock is the operating system's, on a file per export, so it ends with its
process. In a shared PostgreSQL it is an advisory lock of a connection that does nothing else.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from rivet.errors import RefusedError, StateError, StateLockedError
from rivet.openfile import open_regular
from rivet.redact import visible
from rivet.state.connecting import OUR_NAMES
from rivet.state.postgres import PostgresDatabase, lock_key, translated
from rivet.state.privatefolder import make_state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from rivet.state.store import StateStore

LOCKS_DIR: Final = "locks"
_POLL_S: Final = 0.1
_HOLDER_BYTES: Final = 1024
# The holder sits idle in its transaction for as long as the export runs, and the server should
# notice within a minute that its host is gone. Settings an older server lacks are left out.
KEEP_IDLE: Final = OUR_NAMES + (  # noqa: S608 - constants
    "; SELECT set_config(name, CASE name WHEN 'tcp_keepalives_idle' THEN '30'"
    " WHEN 'tcp_keepalives_interval' THEN '10' WHEN 'tcp_keepalives_count' THEN '3'"
    " ELSE '0' END, true) FROM pg_catalog.pg_settings WHERE name IN ('tcp_keepalives_idle',"
    " 'tcp_keepalives_interval', 'tcp_keepalives_count', 'statement_timeout',"
    " 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)


class _Attempt(Protocol):
    """One way to hold a lock."""

    def __call__(self) -> bool:
        """Try once, without waiting."""
        ...


@dataclass(frozen=True, slots=True)
class _Patience:
    """Whether and until when a lock is waited for."""

    waits: bool = False
    deadline: float | None = None
    sleep: Callable[[float], None] = time.sleep


@contextmanager
def export_lock(
    store: StateStore,
    export_name: str,
    *,
    wait: bool = False,
    timeout_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold an export while the body runs.

    Args:
        store: Where the state lives; the lock lives in the same place.
        export_name: Any text.
        wait: False refuses at once where another process holds the export.
        timeout_s: The most seconds to wait; None waits for as long as it takes.
        sleep: Waits between two attempts; may raise to end the wait.

    Raises:
        RefusedError: A live process holds it; names its pid and host.
        StateLockedError: A live process still held it when the wait was over.
        StateError: The lock cannot be made.
    """
    deadline = time.monotonic() + timeout_s if timeout_s is not None else None
    patience = _Patience(wait, deadline, sleep)
    if isinstance(store.database, PostgresDatabase):
        with _server_lock(store.database, export_name) as (attempt, holder):
            _acquire(attempt, holder, export_name, patience)
            yield
        return
    folder = store.base_dir.resolve() / ".rivet" / LOCKS_DIR
    with _file_lock(folder / lock_file_name(export_name)) as (attempt, holder, started):
        _acquire(attempt, holder, export_name, patience)
        started(f"pid {os.getpid()} on host {socket.gethostname()}, since {store.now():%FT%TZ}")
        yield


@contextmanager
def file_held(base_dir: Path, export_name: str) -> Iterator[None]:
    """Hold an export by its lock file alone, where there is no state to open.

    Raises:
        RefusedError: A live process holds it.
        StateError: The lock cannot be made.
    """
    folder = base_dir.resolve() / ".rivet" / LOCKS_DIR
    with _file_lock(folder / lock_file_name(export_name)) as (attempt, holder, _):
        _acquire(attempt, holder, export_name, _Patience())
        yield


def lock_file_name(export_name: str) -> str:
    """Return a file name for an export's lock: safe on every filesystem, one per name.

    The readable half may be cut or differ only in letter case; the hash keeps names apart.
    """
    digest = blake2b(export_name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    readable = quote(export_name.encode("utf-8", "surrogatepass"), safe="")[:80]
    return f"{readable.replace('.', '%2E')}-{digest}.lock"


def _acquire(
    attempt: _Attempt, holder: Callable[[], str], export_name: str, patience: _Patience
) -> None:
    deadline = patience.deadline
    while not attempt():
        if not patience.waits:
            msg = f"export '{export_name}' is being run already by {holder()}"
            hint = "wait for that run to end: `--lock-wait SECONDS`, or `on_overlap: wait`"
            raise RefusedError(msg, code="RIVET_REFUSED_OVERLAP", hint=hint)
        if deadline is not None and time.monotonic() >= deadline:
            msg = f"export '{export_name}' is still being run by {holder()}; the wait is over"
            hint = "run the same command again when that run has ended"
            raise StateLockedError(msg, code="RIVET_STATE_LOCK_TIMEOUT", hint=hint)
        patience.sleep(_POLL_S)


@contextmanager
def _file_lock(path: Path) -> Iterator[tuple[_Attempt, Callable[[], str], Callable[[str], None]]]:
    try:
        import fcntl
    except ImportError as error:
        msg = "file locks need Linux or macOS"
        hint = "set RIVET_STATE_URL to a PostgreSQL database"
        raise StateError(msg, hint=hint) from error
    try:
        make_state_folder(path.parent.parent)
        make_state_folder(path.parent)
        # A link that somebody prepared would have another file cut off.
        descriptor = open_regular(path, flags=os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    except OSError as error:
        msg = f"lock file {path} cannot be opened: {error.strerror}"
        hint = f"make {path.parent} writable for this user, or set RIVET_STATE_URL"
        raise StateError(msg, code="RIVET_STATE_NOT_WRITABLE", hint=hint) from error

    def attempt() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            msg = f"file {path} cannot be locked: {error.strerror}"
            hint = "keep the configuration on a local disk, or set RIVET_STATE_URL"
            raise StateError(msg, hint=hint) from error
        return True

    def holder() -> str:
        # A holder that has just locked the file may not have written its name yet.
        for _ in range(20):
            text = os.pread(descriptor, _HOLDER_BYTES, 0).decode(errors="replace").strip()
            if text:
                return visible(text)
            time.sleep(0.01)
        return "another process"

    def started(text: str) -> None:
        with suppress(OSError):  # the lock holds without a name in it, on a full disk too
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text.encode(), 0)

    try:
        yield attempt, holder, started
    finally:
        # The file stays: removing it would let two processes lock two files of one name.
        os.close(descriptor)


@contextmanager
def _server_lock(
    database: PostgresDatabase, export_name: str
) -> Iterator[tuple[_Attempt, Callable[[], str]]]:
    """Hold the lock in one idle transaction, which also holds behind a transaction pooler."""
    key = lock_key(f"export {export_name}")
    engine = database.lock_engine(f"rivet lock: pid {os.getpid()} on host {socket.gethostname()}")
    with translated(database.location):
        connection = engine.connect()
    try:
        with translated(database.location):
            connection.exec_driver_sql(KEEP_IDLE)

        def attempt() -> bool:
            with translated(database.location):
                row = connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({key})").first()
            return row is not None and bool(row[0])

        def holder() -> str:
            with translated(database.location):
                return _server_holder(connection, key)

        with database.left(connection):
            yield attempt, holder
    finally:
        with suppress(StateError), translated(database.location):
            connection.close()  # a lock ends with its connection, however that ends
        engine.dispose()


def _server_holder(connection: Connection, key: int) -> str:
    unsigned = key & 0xFFFF_FFFF_FFFF_FFFF
    row = connection.exec_driver_sql(
        "SELECT a.application_name FROM pg_catalog.pg_locks l"
        " JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND l.classid = %(high)s AND l.objid = %(low)s"
        " AND l.database = (SELECT oid FROM pg_catalog.pg_database"
        " WHERE datname = current_database())",
        {"high": unsigned >> 32, "low": unsigned & 0xFFFF_FFFF},
    ).first()
    name = str(row[0]) if row else ""
    return visible(name.removeprefix("rivet lock: ")) or "another process"
