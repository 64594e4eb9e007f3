"""Which PostgreSQL database a session is on: its cluster's system identifier and its own OID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg

from rivet.model.owner import SourceIdentity
from rivet.sources.identity import query_name

if TYPE_CHECKING:
    from rivet.model.relation import Relation
    from rivet.sources.postgres.catalog import FoundTable

_ASK: Final = """
    SELECT datname::pg_catalog.text, oid::pg_catalog.text, pg_catalog.array_to_string(
           pg_catalog.current_schemas(false)::pg_catalog.text[], ', '::pg_catalog.text), {server}
    FROM pg_catalog.pg_database
    WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"""
_SERVER: Final = "(SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system())"
# Refused by rights, absent, or not offered by a service that only speaks like PostgreSQL.
_NOT_TOLD: Final = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.FeatureNotSupported,
)
_UNKNOWN: Final = (
    "which server it is cannot be read: GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() "
    "TO the user"
)


def identity_of(
    connection: psycopg.Connection[Any], relation: Relation, table: FoundTable | None
) -> SourceIdentity | None:
    """Return the identity, see `TellsIdentity`; None where the server may not be asked its name.

    A standby and a promoted standby have the identifier of their primary; a copy of its files has
    it, too, and cannot be told from it.

    Args:
        connection: In a transaction, which a refusal ends.
        relation: What is read.
        table: It, where it is one.

    Source:
        PostgreSQL manual, "Control Data Functions".
    """
    try:
        return _asked(connection, relation, table, _SERVER)
    except _NOT_TOLD:
        return None


def unnamed_identity_of(
    connection: psycopg.Connection[Any], relation: Relation, table: FoundTable | None
) -> SourceIdentity:
    """Return the identity without the name of the server, which may not be asked."""
    return _asked(connection, relation, table, "NULL")


def _asked(
    connection: psycopg.Connection[Any], relation: Relation, table: FoundTable | None, server: str
) -> SourceIdentity:
    row = connection.execute(_ASK.format(server=server).encode()).fetchone()
    database, key, places, name = row or ("", None, "", None)
    read = f"{table.schema}.{table.name}" if table else query_name(relation.query or "", places)
    return SourceIdentity(
        database,
        read,
        servers=(name,) if name else (),
        database_key=key,
        unknown=None if name else _UNKNOWN,
    )
