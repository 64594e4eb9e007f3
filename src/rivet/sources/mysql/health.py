"""What MySQL and MariaDB show of their load and of what reading cost them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rivet.sources.abilities import Pressure
from rivet.sources.mysql.binlog import REPLICA_STATUS, rows_of
from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection

_STATUS: Final = "SHOW GLOBAL STATUS WHERE Variable_name IN %s"
_WAITS: Final = "Innodb_log_waits"
_HARM: Final = {
    "Innodb_rows_read": "rows_read",
    "Rows_read": "rows_read",
    "Innodb_buffer_pool_reads": "pages_read",
    "Innodb_buffer_pool_read_requests": "pages_requested",
    "Created_tmp_disk_tables": "temp_tables_on_disk",
    "Handler_read_rnd_next": "rows_scanned",
    "Innodb_row_lock_waits": "row_lock_waits",
}


def pressure_of(connection: Connection[Any]) -> Pressure:
    """Return waits for the log, and how far this server is behind its primary.

    Source:
        MySQL manual, "Server Status Variables" and "SHOW REPLICA STATUS".
    """
    found = ask(connection, _STATUS, ((_WAITS,),))
    waits = int(found[0][1]) if found else 0
    return Pressure(waits, "waits for the log", lag_s=_lag_s(connection))


def _lag_s(connection: Connection[Any]) -> float | None:
    rows = rows_of(connection, REPLICA_STATUS)
    if not rows:
        return None  # no replica; or not allowed, and that it is one is not known
    found = [row.get("Seconds_Behind_Source", row.get("Seconds_Behind_Master")) for row in rows]
    lags = [float(lag) for lag in found if lag is not None]
    return max(lags, default=None)


def harm_of(connection: Connection[Any]) -> dict[str, int]:
    """Return the server's counters, over everybody's work."""
    found = dict(ask(connection, _STATUS, (tuple(_HARM),)))
    # MariaDB counts rows read under a name of its own; the other one stays at zero there.
    counts = dict.fromkeys(_HARM.values(), 0)
    for theirs, ours in _HARM.items():
        counts[ours] = max(counts[ours], int(found.get(theirs, 0)))
    return counts
