"""The addresses of libpq's functions, of the very library that psycopg uses.

Two copies of libpq in one process (a wheel's and the system's) must never be mixed: where it is not
certain which one made a connection, nothing is returned and the caller goes through psycopg.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from psycopg import pq

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

__all__ = ["CopyFunctions", "connect_poll", "copy_functions"]

_MAPS: Final = Path("/proc/self/maps")


@dataclass(frozen=True, slots=True)
class CopyFunctions:
    """What is needed to receive a COPY without psycopg.

    Attributes:
        connection: The address of the `PGconn`.
        addresses: Those of PQgetCopyData, PQfreemem and PQconsumeInput.
    """

    connection: int
    addresses: tuple[int, int, int]


def copy_functions(connection: PGconn) -> CopyFunctions | None:
    """Return libpq's functions for this connection, or None.

    None where the library cannot be found for certain, or does not agree with psycopg about this
    connection's socket, backend and server.
    """
    library = _library()
    pointer: int | None = getattr(connection, "pgconn_ptr", None)  # the protocol lacks it
    if library is None or not pointer:
        return None
    ours = tuple(
        _asks(library, name)(pointer) for name in ("PQsocket", "PQbackendPID", "PQserverVersion")
    )
    if ours != (connection.socket, connection.backend_pid, connection.server_version):
        return None
    get, free, consume = (
        ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        for name in ("PQgetCopyData", "PQfreemem", "PQconsumeInput")
    )
    if not (get and free and consume):
        return None
    return CopyFunctions(pointer, (get, free, consume))


def connect_poll(connection: PGconn) -> int:
    """Do the next step of a login; other threads run meanwhile, where the library can be found.

    psycopg keeps the interpreter's lock all through it, and the server decides how long SCRAM's
    computations take.
    """
    library = _library()
    pointer: int | None = getattr(connection, "pgconn_ptr", None)
    if library is None or not pointer or _asks(library, "PQsocket")(pointer) != connection.socket:
        return int(connection.connect_poll())
    return int(_asks(library, "PQconnectPoll")(pointer))


@cache
def _library() -> ctypes.CDLL | None:
    """Return the library by the file it was loaded from; never loads a second one."""
    paths = _loaded()
    if pq.__impl__ == "binary":
        paths = {path for path in paths if "psycopg_binary" in path}
    if len(paths) != 1:
        return None
    try:
        library = ctypes.CDLL(paths.pop(), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        version = library.PQlibVersion()
    except (OSError, AttributeError):
        return None
    return library if version == pq.version() else None


def _loaded() -> set[str]:
    try:
        lines = _MAPS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return set()
    # The path is the sixth column, and may hold spaces itself.
    paths = {line.split(maxsplit=5)[5] for line in lines if "/libpq" in line}
    return {path for path in paths if Path(path).name.startswith(("libpq.", "libpq-"))}


def _asks(library: ctypes.CDLL, name: str) -> ctypes._NamedFuncPointer:
    function = library[name]
    function.argtypes = [ctypes.c_void_p]
    function.restype = ctypes.c_int
    return function
