"""Whether a server's binary log has all that the server commits, as far as its settings say."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pymysql.err import MySQLError

from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection

_VARIABLES: Final = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN"
    " ('log_bin', 'log_slave_updates', 'log_replica_updates', 'wsrep_on')"
)
# By their names on either server, newest last.
_LOG_STATUS: Final = ("SHOW MASTER STATUS", "SHOW BINARY LOG STATUS")
REPLICA_STATUS: Final = ("SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS", "SHOW REPLICA STATUS")
_RUNNING: Final = "SHOW GLOBAL STATUS LIKE 'Slaves_running'"
_FILTERS: Final = frozenset({"binlog_do_db", "binlog_ignore_db"})


def silence_of(connection: Connection[Any]) -> str | None:
    """Return what the server commits and does not log, or why that is not known; None is nothing.

    Raises:
        pymysql.Error: The connection failed.
    """
    found = {str(name): str(value).upper() for name, value in ask(connection, _VARIABLES)}
    if found.get("log_bin") != "ON":
        return "the server keeps no binary log that sessions could be aligned by"
    if found.get("log_replica_updates", found.get("log_slave_updates")) != "ON":
        replicated = _replicated(connection, is_node=found.get("wsrep_on") == "ON")
        if replicated is not None:
            return replicated
    logs = rows_of(connection, _LOG_STATUS)
    if logs is None:
        return "whether its binary log is filtered cannot be seen: grant REPLICATION CLIENT"
    filters = [name.lower() for row in logs for name, value in row.items() if value]
    filters = [name for name in filters if name in _FILTERS]
    return f"its binary log leaves databases out ({filters[0]})" if filters else None


def _replicated(connection: Connection[Any], *, is_node: bool) -> str | None:
    if is_node:
        return "a node of a cluster does not log what others write (log_slave_updates = OFF)"
    replicas = rows_of(connection, REPLICA_STATUS)
    if replicas is None:  # not everybody may ask, but how many of its threads run anybody may
        replicas = [{} for _, running in ask(connection, _RUNNING) if running != "0"]
    if replicas:
        return "a replica does not log what it replicates (log_slave_updates = OFF)"
    return None


def rows_of(
    connection: Connection[Any], statements: tuple[str, ...]
) -> list[dict[str, Any]] | None:
    """Return the rows of the first statement that the server takes; None where it takes none."""
    for statement in statements:
        with suppress(MySQLError), connection.cursor() as cursor:
            cursor.execute(statement)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return None
