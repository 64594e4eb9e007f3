"""Bring several MySQL or MariaDB sessions into one instant.

MariaDB tells each transaction with a consistent snapshot its place in the binary log: sessions at
the same place see the same rows, and whoever differs begins again. No lock is taken. Without such a
place, writers are held up for the moment in which the sessions begin, if that is allowed and safe.

Source:
    MariaDB manual, "START TRANSACTION", "Enhancements for START TRANSACTION WITH CONSISTENT
    SNAPSHOT"; MySQL manual, "FLUSH TABLES WITH READ LOCK".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pymysql.err import MySQLError

from rivet.errors import SourceQueryError
from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymysql.connections import Connection

_ROUNDS: Final = 50
_LOCK_WAIT_S: Final = 2
_BEGIN: Final = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_PLACE: Final = "SHOW STATUS LIKE 'binlog_snapshot_%'"
_OLD_STATEMENTS: Final = """
    SELECT count(*) FROM information_schema.PROCESSLIST
    WHERE COMMAND NOT IN ('Sleep', 'Binlog Dump', 'Daemon') AND TIME >= %s"""


def align(connections: Sequence[Connection[Any]]) -> None:
    """Open a transaction on each connection, all of one instant.

    Raises:
        SourceQueryError: The server offers no way; no transaction is open.
        pymysql.Error: A connection failed.
    """
    for connection in connections:
        connection.query(_BEGIN)
    if len(connections) == 1:
        return
    places = [_place(connection) for connection in connections]
    if all(places):
        for _ in range(_ROUNDS):
            newest = max(place for place in places if place is not None)
            late = [index for index, place in enumerate(places) if place != newest]
            if not late:
                return
            for index in late:
                connections[index].query(_BEGIN)
                places[index] = _place(connections[index])
    _under_lock(connections)


def _place(connection: Connection[Any]) -> tuple[str, int] | None:
    """Return file and offset in the binary log of the open snapshot; None without a log."""
    found = {str(name).lower(): str(value) for name, value in ask(connection, _PLACE)}
    file, offset = found.get("binlog_snapshot_file"), found.get("binlog_snapshot_position")
    return (file, int(offset)) if file and offset else None


def _under_lock(connections: Sequence[Connection[Any]]) -> None:
    first = connections[0]
    try:
        for connection in connections:
            connection.query("ROLLBACK")
        ((old,),) = ask(first, _OLD_STATEMENTS, (_LOCK_WAIT_S,))
        if int(old):
            reason = f"{old} statements have run for {_LOCK_WAIT_S} seconds or longer"
            raise _cannot(reason)
        ((wait,),) = ask(first, "SELECT @@SESSION.lock_wait_timeout")
        first.query(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT_S}")
        try:
            first.query("FLUSH TABLES WITH READ LOCK")
            try:
                for connection in connections:
                    connection.query(_BEGIN)
            finally:
                first.query("UNLOCK TABLES")
        finally:
            first.query(f"SET SESSION lock_wait_timeout = {int(wait)}")
    except MySQLError as error:
        reason = (
            "the server keeps no binary log that sessions could be aligned by, and writers cannot "
            f"be held up ({error.args[0]})"
        )
        raise _cannot(reason) from error


def _cannot(reason: str) -> SourceQueryError:
    msg = f"several sessions cannot be brought into one instant: {reason}"
    return SourceQueryError(
        msg,
        hint="use `parallel: 1`, or `consistency: chunk` if each chunk may have its own instant",
    )
