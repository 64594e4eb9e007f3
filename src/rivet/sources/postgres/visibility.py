"""What a PostgreSQL user does not see of a relation: rows that row-level security hides.

Nothing here reads rows. Policies of tables that security definer functions or foreign servers read
cannot be seen from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg.pq import DiagnosticField

from rivet.sources.postgres.asked import asked, asked_row
from rivet.sources.postgres.faults import POLICY_CHECK
from rivet.sources.postgres.parsing import parsed

if TYPE_CHECKING:
    import psycopg
    from psycopg import pq

    from rivet.sources.postgres.catalog import FoundTable


# A policy that is `true` for a user hides nothing from them, unless a restrictive one does.
_HIDES: Final = """
    SELECT row_security_active(c.oid) AND NOT (
        coalesce(bool_or(p.polpermissive AND pg_catalog.pg_get_expr(p.polqual, c.oid) = 'true'),
                 false)
        AND coalesce(bool_and(p.polpermissive), true))
    FROM pg_catalog.pg_class c
    LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polcmd IN ('r', '*')
        AND EXISTS (SELECT FROM unnest(p.polroles) role
                    WHERE role = 0 OR pg_has_role(role, 'USAGE'))
    WHERE c.oid = %s
    GROUP BY c.oid"""

# A materialized view holds what its owner saw at the last REFRESH.
_BEHIND: Final = """
    WITH RECURSIVE behind AS (
        SELECT v.oid, v.relowner FROM pg_catalog.pg_class v WHERE v.oid = %s
      UNION
        SELECT t.oid, CASE WHEN 'security_invoker=true' = ANY (coalesce(t.reloptions, '{}'))
                           THEN b.relowner ELSE t.relowner END
        FROM behind b
        JOIN pg_catalog.pg_rewrite r ON r.ev_class = b.oid
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
            AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
            AND d.refobjid <> b.oid
        JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relkind IN ('v', 'm'))
    SELECT DISTINCT n.nspname || '.' || t.relname
    FROM behind b
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = b.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
        AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
    JOIN pg_catalog.pg_class t ON t.oid = d.refobjid AND t.relrowsecurity
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_catalog.pg_roles o ON o.oid = b.relowner
    WHERE NOT o.rolsuper AND NOT o.rolbypassrls
      AND NOT (pg_has_role(b.relowner, t.relowner, 'USAGE') AND NOT t.relforcerowsecurity)
    ORDER BY 1"""

_LOCKED: Final = """
    SELECT DISTINCT n.nspname || '.' || c.relname
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND c.relrowsecurity
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    ORDER BY 1"""


def hidden_behind_table(connection: psycopg.Connection[Any], table: FoundTable) -> tuple[str, ...]:
    """Return the tables behind a table or view whose policies can hide rows from the user.

    A read of a partitioned or inherited table follows the policies of that table alone.
    """
    name = f"{table.schema}.{table.name}"
    if table.kind == "v":
        from rivet.sources.postgres.read import DIALECT

        return hidden_behind_query(
            connection, f"SELECT FROM {DIALECT.qualified(table.schema, table.name)}"
        )
    if table.kind == "m":
        return tuple(row[0] for row in asked(connection, _BEHIND, (table.oid,)))
    if not table.has_row_security:
        return ()
    row = asked_row(connection, _HIDES, (table.oid,))
    return () if row is not None and row[0] is False else (name,)


def hidden_behind_query(connection: psycopg.Connection[Any], query: str) -> tuple[str, ...]:
    """Return the tables behind a query whose policies apply to whoever reads them there.

    The server answers it itself: with `row_security` off it refuses to plan a query that a policy
    would change, through views as well, each with the rights of its owner or of the user.

    Returns:
        Names of the tables with row-level security that the query reads; none where no policy
        applies, or where the query is not valid, which whoever describes it will say.

    Source:
        PostgreSQL manual, "Row Security Policies" and "row_security".
    """
    connection.execute("SAVEPOINT rivet")
    connection.execute("SET LOCAL row_security = off")
    is_hidden = _is_refusal(parsed(connection, query))
    connection.execute("ROLLBACK TO SAVEPOINT rivet")
    if not is_hidden:
        return ()
    parsed(connection, query)
    names = tuple(row[0] for row in asked(connection, _LOCKED))
    return names or ("a table of the query",)


def _is_refusal(result: pq.abc.PGresult) -> bool:
    """Whether the server refused a query because `row_security` is off and a policy applies."""
    place = result.error_field(DiagnosticField.SOURCE_FUNCTION)
    return place == POLICY_CHECK.encode()
