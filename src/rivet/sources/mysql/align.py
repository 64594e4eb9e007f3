"""Bring several MySQL or MariaDB sessions into one instant, and say whether that is proven.

InnoDB shows the number that its next transaction gets and which transactions are open. Where
neither has changed while the sessions began, none of them sees what another does not. Nothing is
locked, and a server that is written to all the time does not hold still for that long: then writers
are held up for the moment in which the sessions begin, if that is allowed and safe.

MariaDB also tells each snapshot its place in the binary log. Equal places say that nothing that is
logged lies in between; a replica, a filter or a session may commit without a word in the log. So
they count only where the server's settings log everything, and what one session can still do in
silence is said.

Source:
    MySQL manual, "InnoDB Standard Monitor and Lock Monitor Output", "FLUSH TABLES WITH READ LOCK",
    "SET sql_log_bin"; MariaDB manual, "Enhancements for START TRANSACTION WITH CONSISTENT
    SNAPSHOT". See docs/adr/0022.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import COMMAND
from pymysql.err import MySQLError

from rivet.errors import SourceQueryError
from rivet.sources.mysql.binlog import silence_of
from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymysql.connections import Connection

_WATCHES: Final = 20
_ROUNDS: Final = 50
_LOCK_WAIT_S: Final = 2
_BEGIN: Final = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_SERVER: Final = "SELECT @@hostname, @@port, @@server_id, @@pid_file, @@datadir"
_PLACE: Final = "SHOW STATUS LIKE 'binlog_snapshot_%'"
_MONITOR: Final = "SHOW ENGINE INNODB STATUS"
_COUNTER: Final = re.compile(r"^Trx id counter (\d+)", re.MULTILINE)
_TRANSACTION: Final = re.compile(r"^---TRANSACTION (\d+), (\w+)", re.MULTILINE)
_CUT: Final = "... truncated..."
_LARGEST_WRITER: Final = 2**48  # those that only read have the address of a structure for a number
# A replica's own threads wait for their next event, as `system user`.
_OLD_STATEMENTS: Final = """
    SELECT count(*) FROM information_schema.PROCESSLIST
    WHERE COMMAND NOT IN ('Sleep', 'Binlog Dump', 'Binlog Dump GTID', 'Daemon')
      AND USER <> 'system user' AND TIME >= %s"""
_UNSEEN: Final = (
    "they are at one place of the binary log, but sessions that write with sql_log_bin = 0 leave "
    "nothing there"
)


@dataclass(frozen=True, slots=True)
class _Writers:
    """What InnoDB shows of transactions that write: the next one's number, and which are open."""

    counter: int
    listed: frozenset[int]
    active: frozenset[int]


def align(connections: Sequence[Connection[Any]]) -> str | None:
    """Open a transaction on each connection, all of one instant.

    Returns:
        Why that is not proven, for people; None where it is.

    Raises:
        SourceQueryError: The server offers no way; no transaction is open.
        pymysql.Error: A connection failed.
    """
    if len(connections) == 1:
        connections[0].query(_BEGIN)
        return None
    if (servers := len({_server(connection) for connection in connections})) > 1:
        msg = f"several sessions cannot be brought into one instant: they are on {servers} servers"
        hint = "connect to one server and not to what spreads connections, or use `parallel: 1`"
        raise SourceQueryError(msg, hint=hint)
    if _watched(connections):
        return None
    refusal = _under_lock(connections)
    if refusal is None:
        return None
    silence = silence_of(connections[0])
    if silence is None and _at_one_place(connections):
        return f"{_UNSEEN} ({refusal})"
    for connection in connections:
        connection.query("ROLLBACK")
    msg = f"several sessions cannot be brought into one instant: {silence or refusal}"
    if silence is not None:
        msg += f", and writers cannot be held up: {refusal}"
    hint = (
        "grant PROCESS or RELOAD, use `parallel: 1`, or `consistency: chunk` if each chunk may "
        "have its own instant"
    )
    raise SourceQueryError(msg, hint=hint)


def _server(connection: Connection[Any]) -> tuple[str, ...]:
    """Return what tells the server from others: a balancer may spread the sessions over several."""
    (found,) = ask(connection, _SERVER)
    return tuple(str(value) for value in found)


def _watched(connections: Sequence[Connection[Any]]) -> bool:
    """Begin while nothing is written; whether InnoDB shows that it was so."""
    for _ in range(_WATCHES):
        before = _writers(connections[0])
        if before is None:
            return False
        _begin_all(connections)
        after = _writers(connections[0])
        if after is None:
            return False
        # Whoever began since then has a number; whoever was open still is, and seen by nobody.
        if after.counter == before.counter and before.listed <= after.active:
            return True
    return False


def _writers(connection: Connection[Any]) -> _Writers | None:
    """Return the transactions that write; None where they cannot be seen.

    `information_schema.INNODB_TRX` will not do: it is kept for a tenth of a second.
    """
    try:
        ((*_, text),) = ask(connection, _MONITOR)
    except (MySQLError, ValueError):
        return None  # without PROCESS, or without InnoDB
    counter = _COUNTER.search(str(text))
    if counter is None or _CUT in str(text):
        return None
    found = [(int(number), state) for number, state in _TRANSACTION.findall(str(text))]
    writers = [(number, state) for number, state in found if number < _LARGEST_WRITER]
    return _Writers(
        int(counter[1]),
        frozenset(number for number, _ in writers),
        frozenset(number for number, state in writers if state == "ACTIVE"),
    )


def _begin_all(connections: Sequence[Connection[Any]]) -> None:
    """Begin on every connection before any answer is waited for."""
    drivers: Sequence[Any] = connections
    for driver in drivers:
        driver._execute_command(COMMAND.COM_QUERY, _BEGIN)  # noqa: SLF001 - see docs/adr/0014
    for driver in drivers:
        driver._affected_rows = driver._read_query_result()  # noqa: SLF001


def _at_one_place(connections: Sequence[Connection[Any]]) -> bool:
    """Begin at one place of the binary log, where the server tells snapshots theirs."""
    for _ in range(_ROUNDS):
        _begin_all(connections)
        places = {_place(connection) for connection in connections}
        if None in places:
            return False
        if len(places) == 1:
            return True
    return False


def _place(connection: Connection[Any]) -> tuple[str, int] | None:
    """Return file and offset in the binary log of the open snapshot; None without a log."""
    found = {str(name).lower(): str(value) for name, value in ask(connection, _PLACE)}
    file, offset = found.get("binlog_snapshot_file"), found.get("binlog_snapshot_position")
    return (file, int(offset)) if file and offset else None


def _under_lock(connections: Sequence[Connection[Any]]) -> str | None:
    """Begin while nobody can commit; return why that cannot be done, or None."""
    first = connections[0]
    try:
        for connection in connections:
            connection.query("ROLLBACK")
        ((old,),) = ask(first, _OLD_STATEMENTS, (_LOCK_WAIT_S,))
        if int(old):
            return f"{old} statements have run for {_LOCK_WAIT_S} seconds or longer"
        ((wait,),) = ask(first, "SELECT @@SESSION.lock_wait_timeout")
        first.query(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT_S}")
        try:
            first.query("FLUSH TABLES WITH READ LOCK")
            try:
                _begin_all(connections)
            finally:
                first.query("UNLOCK TABLES")
        finally:
            first.query(f"SET SESSION lock_wait_timeout = {int(wait)}")
    except MySQLError as error:
        return f"FLUSH TABLES WITH READ LOCK is refused ({error.args[0]})"
    return None
