"""Connection limits of a MySQL or MariaDB server and of the user, and what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection


def free_connections(connection: Connection[Any]) -> int:
    """Return how many more connections the server would take."""
    ((limit,),) = ask(connection, "SELECT @@max_connections")
    ((_, used),) = ask(connection, "SHOW GLOBAL STATUS LIKE 'Threads_connected'")
    return int(limit) - int(used)


def free_connections_of_user(connection: Connection[Any]) -> int | None:
    """Return how many connections `MAX_USER_CONNECTIONS` leaves the user; None without a limit.

    Source:
        MySQL manual, "Setting Account Resource Limits": the session's `max_user_connections` is
        the account's own limit, or the server's for every user.
    """
    ((limit, user),) = ask(
        connection, "SELECT @@session.max_user_connections, SUBSTRING_INDEX(USER(), '@', 1)"
    )
    if int(limit) <= 0:
        return None
    # Without PROCESS a user sees its own, which are the ones that count.
    used = len([row for row in ask(connection, "SHOW PROCESSLIST") if row[1] == user])
    return int(limit) - used
