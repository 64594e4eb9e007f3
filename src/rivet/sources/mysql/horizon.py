"""What MySQL and MariaDB know of time: their clock, and the oldest transaction still open."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import ER, SERVER_STATUS
from pymysql.err import MySQLError

from rivet.model.window import Horizon, Lack
from rivet.sources.mysql.faults import error_number
from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection

_NOW: Final = """
    SELECT CAST(UTC_TIMESTAMP(6) AS CHAR), TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(),
        CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', @@global.time_zone))"""
# A statement that waits for a table, or works before it writes, is in no transaction yet: its time
# is that of its own beginning. Asked before the transactions, so that it is found here or there.
# Events are `Connect`.
_RUNNING: Final = """
    SELECT ID, CAST(UTC_TIMESTAMP() - INTERVAL TIME + 1 SECOND AS CHAR)
    FROM information_schema.PROCESSLIST
    WHERE ID <> CONNECTION_ID() AND TIME >= 0 AND COMMAND IN ('Query', 'Execute', 'Connect')
      AND USER NOT IN ('system user', 'unauthenticated user')"""
# A transaction's beginning is told in the zone of the operating system, and of the two instants
# that one reading may stand for, the earlier counts. InnoDB keeps the list while it is read again
# within a tenth of a second: it is of now where it holds this very statement.
_OPEN: Final = """/* {mark} */
    SELECT trx_mysql_thread_id = CONNECTION_ID(),
           CAST(IF(CONVERT_TZ(at - INTERVAL 1 HOUR, '+00:00', 'SYSTEM') = trx_started,
                   at - INTERVAL 1 HOUR, at) AS CHAR),
           trx_mysql_thread_id, trx_id, trx_rows_modified, trx_is_read_only,
           LOCATE('{mark}', COALESCE(trx_query, ''))
    FROM (SELECT trx_started, trx_mysql_thread_id, trx_id, trx_rows_modified, trx_is_read_only,
                 trx_query, CONVERT_TZ(trx_started, 'SYSTEM', '+00:00') AS at
          FROM information_schema.INNODB_TRX) AS listed"""
_REPLICA: Final = ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
_CLUSTER: Final = "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'"
_GROUP: Final = "SHOW GLOBAL VARIABLES LIKE 'group_replication_group_name'"
_MEMBERS: Final = """
    SELECT count(*) FROM performance_schema.replication_group_members
    WHERE MEMBER_STATE <> 'OFFLINE'"""
_REFUSED: Final = frozenset({ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR})
_RIGHTS: Final = Lack("open transactions cannot be seen", "grant PROCESS")
_DETACHED: Final = Lack(
    "a prepared transaction is open, and when it began is not known",
    "end it with XA COMMIT or XA ROLLBACK",
)
_BEGIN: Final = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
# What the first statement wrote may be older than the transaction; how old, no server keeps.
_LONG_OPEN: Final = Lack(
    "a transaction that has written stays open, and when its first statement began is not known",
    "end it",
)
_PATIENCE_S: Final = 1.0
_TRIES: Final = 5
_KEPT_S: Final = 0.11
_OLD_LIST: Final = Lack(
    "InnoDB's list of open transactions is an old one, for others read it all the time",
    "have monitors read information_schema.INNODB_TRX once a second at most",
)
_IS_REPLICA: Final = Lack(
    "the server is a replica, and its primary's transactions cannot be seen",
    "read from the primary",
    settles=False,
)
_MAY_BE_REPLICA: Final = Lack(
    "whether the server is a replica cannot be asked",
    "grant REPLICATION CLIENT, on MariaDB SLAVE MONITOR",
    settles=False,
)
_IS_CLUSTER: Final = Lack(
    "the server is one of a cluster, and the others' transactions cannot be seen"
)
_MAY_BE_CLUSTER: Final = Lack(
    "whether the server's group replicates cannot be asked",
    "grant SELECT ON performance_schema.replication_group_members",
)


def horizon_of(connection: Connection[Any], *, is_zoned: bool) -> Horizon:  # noqa: ARG001 - texts are alike
    """Return the server's clock and its oldest open transaction; see `Session.commit_horizon`.

    Source:
        MySQL manual, "The INFORMATION_SCHEMA INNODB_TRX Table" and "The INFORMATION_SCHEMA
        PROCESSLIST Table".
    """
    ((now, wall),) = ask(connection, _NOW)
    lacks = [lack for lack in (_replica(connection), _cluster(connection)) if lack is not None]
    oldest = None
    try:
        oldest, unseen = _open(connection)
    except MySQLError as error:
        if error_number(error) not in _REFUSED:
            raise
        unseen = [_RIGHTS]
    clock, began = _instant(now), None if oldest is None else _instant(oldest)
    return Horizon(clock, began, (*lacks, *unseen), wall=timedelta(seconds=int(wall or 0)))


@dataclass(frozen=True, slots=True)
class _Listed:
    """A transaction as InnoDB tells of it."""

    began: str
    session: int
    number: str
    has_written: bool
    is_read_only: bool


def _open(connection: Connection[Any]) -> tuple[str | None, list[Lack]]:
    """Return when the oldest began, and what is not known of those that are open."""
    is_inside = connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
    if not is_inside:  # the list holds transactions only
        connection.query(_BEGIN)
    running: dict[int, str] = {}
    listed: list[_Listed] = []
    is_now = False
    try:
        for tried in range(_TRIES):
            time.sleep(_KEPT_S if tried else 0)
            running = {int(session): str(at) for session, at in ask(connection, _RUNNING)}
            listed, is_now = _list(connection)
            if is_now:
                break
        lacks = [] if is_now else [_OLD_LIST]
        if any(one.session == 0 for one in listed):
            lacks.append(_DETACHED)
        if _stay(connection, {one.number for one in listed if one.has_written}):
            lacks.append(_LONG_OPEN)
    finally:
        if not is_inside:
            connection.query("ROLLBACK")
    readers = {one.session for one in listed if one.is_read_only}
    times = [one.began for one in listed if not one.is_read_only]
    times += [began for session, began in running.items() if session not in readers]
    return min(times, default=None), lacks


def _list(connection: Connection[Any]) -> tuple[list[_Listed], bool]:
    """Return the transactions of others, and whether that is so now."""
    mark = f"rivet {uuid.uuid4().hex}"
    is_now = False
    found: list[_Listed] = []
    for own, began, session, number, written, only, place in ask(
        connection, _OPEN.format(mark=mark)
    ):
        if int(own):
            is_now = bool(int(place))
            continue
        found.append(
            _Listed(str(began), int(session), str(number), int(written) > 0, int(only) == 1)
        )
    return found, is_now


def _stay(connection: Connection[Any], numbers: set[str]) -> bool:
    """Whether some of the transactions are still open after a while.

    Those that end are seen by whoever reads from now on, whatever times they wrote.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while numbers and time.monotonic() < deadline:
        time.sleep(_KEPT_S)
        numbers &= {one.number for one in _list(connection)[0]}
    return bool(numbers)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _replica(connection: Connection[Any]) -> Lack | None:
    """Return the lack of a server that follows another one, or that does not tell."""
    for statement in _REPLICA:
        try:
            return _IS_REPLICA if ask(connection, statement) else None
        except MySQLError as error:
            if error_number(error) in _REFUSED:
                return _MAY_BE_REPLICA
            if error_number(error) != ER.PARSE_ERROR:
                raise
    return _MAY_BE_REPLICA


def _cluster(connection: Connection[Any]) -> Lack | None:
    """Return the lack of a node of Galera or of a member of MySQL's group replication.

    Source:
        MySQL manual, "The replication_group_members Table".
    """
    if any(int(size) for _, size in ask(connection, _CLUSTER)):
        return _IS_CLUSTER
    if not any(name for _, name in ask(connection, _GROUP)):
        return None
    try:
        ((members,),) = ask(connection, _MEMBERS)
    except MySQLError as error:
        if error_number(error) not in {*_REFUSED, ER.TABLEACCESS_DENIED_ERROR}:
            raise
        return _MAY_BE_CLUSTER
    return _IS_CLUSTER if int(members) else None
