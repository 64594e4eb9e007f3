"""What MySQL and MariaDB know of time: their clock, and the oldest transaction still open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import ER
from pymysql.err import MySQLError

from rivet.model.window import Horizon
from rivet.sources.mysql.faults import error_number
from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection

# The seconds of a transaction are cut off, so they are never later than its first row's.
_OPEN: Final = """
    SELECT CAST(CONVERT_TZ(MIN(trx_started), @@global.time_zone, %s) AS CHAR)
    FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID()"""
_NOW: Final = "SELECT CAST(CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', %s) AS CHAR)"
_ZONE: Final = "SELECT @@global.time_zone"
_REFUSED: Final = frozenset({ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR})
_WHY_NOT: Final = "open transactions cannot be seen: grant PROCESS"


def horizon_of(connection: Connection[Any], *, is_zoned: bool) -> Horizon:
    """Return the server's clock and its oldest open transaction; see `Session.horizon`.

    Source:
        MySQL manual, "The INFORMATION_SCHEMA INNODB_TRX Table".
    """
    ((zone,),) = ask(connection, _ZONE)
    shown = "+00:00" if is_zoned else str(zone)
    ((now,),) = ask(connection, _NOW, (shown,))
    try:
        ((oldest,),) = ask(connection, _OPEN, (shown,))
    except MySQLError as error:
        if error_number(error) not in _REFUSED:
            raise
        return Horizon(str(now), None, sees_all=False, why_not=_WHY_NOT)
    return Horizon(str(now), None if oldest is None else str(oldest), sees_all=True)
