"""What MySQL and MariaDB know of time: their clock, and the oldest transaction still open."""

from __future__ import annotations

import time
import uuid
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
# A transaction's beginning is told in the zone of the operating system, and of the two instants
# that one reading may stand for, the earlier counts. A statement that waits for a table is in no
# transaction yet, but its time is that of its own beginning. InnoDB keeps the list while it is read
# again within a tenth of a second: it is of now where it holds this very statement.
_OPEN: Final = """/* {mark} */
    SELECT CAST(MIN(began) AS CHAR), SUM(is_detached), SUM(is_now) FROM (
        SELECT IF(is_own, NULL, IF(CONVERT_TZ(at - INTERVAL 1 HOUR, '+00:00', 'SYSTEM')
                      = trx_started, at - INTERVAL 1 HOUR, at)) AS began,
               trx_mysql_thread_id = 0 AS is_detached,
               is_own AND LOCATE('{mark}', COALESCE(trx_query, '')) > 0 AS is_now
        FROM (SELECT trx_started, trx_mysql_thread_id, trx_query,
                     CONVERT_TZ(trx_started, 'SYSTEM', '+00:00') AS at,
                     trx_mysql_thread_id = CONNECTION_ID() AS is_own
              FROM information_schema.INNODB_TRX
              WHERE trx_mysql_thread_id = CONNECTION_ID() OR trx_is_read_only = 0) AS writing
      UNION ALL
        SELECT UTC_TIMESTAMP() - INTERVAL TIME + 1 SECOND, 0, 0
        FROM information_schema.PROCESSLIST
        WHERE ID <> CONNECTION_ID() AND TIME >= 0 AND COMMAND IN ('Query', 'Execute')
          AND ID NOT IN (SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX
                         WHERE trx_is_read_only = 1)) AS found"""
_REPLICA: Final = ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
_CLUSTER: Final = "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'"
_REFUSED: Final = frozenset({ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR})
_RIGHTS: Final = Lack("open transactions cannot be seen", "grant PROCESS")
_DETACHED: Final = Lack(
    "a prepared transaction is open, and when it began is not known",
    "end it with XA COMMIT or XA ROLLBACK",
)
_BEGIN: Final = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
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


def horizon_of(connection: Connection[Any], *, is_zoned: bool) -> Horizon:  # noqa: ARG001 - texts are alike
    """Return the server's clock and its oldest open transaction; see `Session.horizon`.

    Source:
        MySQL manual, "The INFORMATION_SCHEMA INNODB_TRX Table" and "The INFORMATION_SCHEMA
        PROCESSLIST Table".
    """
    ((now, wall),) = ask(connection, _NOW)
    lacks = [lack for lack in (_replica(connection), _cluster(connection)) if lack is not None]
    oldest = None
    try:
        oldest, detached, is_now = _open(connection)
    except MySQLError as error:
        if error_number(error) not in _REFUSED:
            raise
        lacks.append(_RIGHTS)
    else:
        if detached:
            lacks.append(_DETACHED)
        if not is_now:
            lacks.append(_OLD_LIST)
    clock, began = _instant(now), None if oldest is None else _instant(oldest)
    return Horizon(clock, began, tuple(lacks), wall=timedelta(seconds=int(wall or 0)))


def _open(connection: Connection[Any]) -> tuple[str | None, bool, bool]:
    """Return when the oldest began, whether one has no session, and whether that is so now."""
    is_inside = connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
    if not is_inside:  # the list holds transactions only
        connection.query(_BEGIN)
    oldest, detached, is_now = None, False, False
    try:
        for tried in range(_TRIES):
            time.sleep(_KEPT_S if tried else 0)
            mark = f"rivet {uuid.uuid4().hex}"
            ((oldest, some, found),) = ask(connection, _OPEN.format(mark=mark))
            detached, is_now = bool(int(some or 0)), bool(int(found or 0))
            if is_now:
                break
    finally:
        if not is_inside:
            connection.query("ROLLBACK")
    return oldest, detached, is_now


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
    return _IS_CLUSTER if any(int(size) for _, size in ask(connection, _CLUSTER)) else None
