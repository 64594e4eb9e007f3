"""Which MySQL or MariaDB server a session is on, by what the server calls itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rivet.model.owner import SourceIdentity
from rivet.sources.identity import query_name
from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from rivet.model.relation import Relation

_MYSQL: Final = """
    SELECT DATABASE(), @@lower_case_table_names, @@server_uuid, @@global.gtid_executed"""
# By name in a table, for a variable that a version does not have is an error.
_MARIADB: Final = """
    SELECT 'DATABASE', DATABASE()
    UNION ALL SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES
    WHERE VARIABLE_NAME IN ('HOSTNAME', 'PORT', 'SERVER_ID', 'SERVER_UID', 'LOWER_CASE_TABLE_NAMES')
    UNION ALL SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
    WHERE VARIABLE_NAME = 'WSREP_CLUSTER_STATE_UUID'"""
_SUCCEEDS: Final = "SELECT GTID_SUBSET(%s, @@global.gtid_executed)"
_NONE: Final = frozenset({"", "00000000-0000-0000-0000-000000000000"})


def identity_of(
    connection: Connection[Any], relation: Relation, *, is_mariadb: bool
) -> SourceIdentity:
    """Return the identity, see `TellsIdentity`.

    MySQL has a UUID per server, and its GTIDs tell a successor. MariaDB has none: a Galera cluster
    has one, and versions from 10.5.26 on a hash of the machine; else it is the server's own host
    name, port and `server_id`.

    Source:
        MySQL manual, "server_uuid"; MariaDB manual, "server_uid" and
        "Galera Cluster Status Variables".
    """
    database, is_folded, servers, history = (
        _of_mariadb(connection) if is_mariadb else _of_mysql(connection)
    )
    if relation.table is None:
        return SourceIdentity(
            database, query_name(relation.query or ""), servers=servers, history=history
        )
    # The default database only says where a bare name is.
    schema, table = relation.schema or database, relation.table
    if is_folded:
        schema, table = schema.lower(), table.lower()
    return SourceIdentity(schema, f"{schema}.{table}", servers=servers, history=history)


def _of_mysql(connection: Connection[Any]) -> tuple[str, bool, tuple[str, ...], str | None]:
    ((database, case, server, executed),) = ask(connection, _MYSQL)
    history = str(executed).replace("\n", "") if executed else None
    return str(database or ""), str(case) != "0", (str(server),), history


def _of_mariadb(connection: Connection[Any]) -> tuple[str, bool, tuple[str, ...], str | None]:
    told = {str(name).lower(): str(value or "") for name, value in ask(connection, _MARIADB)}
    host = f"{told.get('hostname', '')}:{told.get('port', '')} ({told.get('server_id', '')})"
    names = [told.get("wsrep_cluster_state_uuid", ""), host, told.get("server_uid", "")]
    servers = tuple(name for name in names if name not in _NONE)
    return told["database"], told.get("lower_case_table_names") != "0", servers, None


def succeeds(connection: Connection[Any], history: str) -> bool:
    """Whether the server has every transaction of a set of GTIDs, see `TakesPlaces`."""
    ((is_subset,),) = ask(connection, _SUCCEEDS, (history,))
    return bool(int(is_subset or 0))
