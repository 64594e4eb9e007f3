"""What PostgreSQL's catalog says: relations, their columns, their types, estimates.

Runs small catalog queries inside a transaction the session has opened; never reads user data and
never decides what a type becomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors, pq

from rivet.errors import SourceAuthError, SourceQueryError
from rivet.model.relation import Relation, TableFacts
from rivet.redact import visible
from rivet.sources.nearnames import table_hint
from rivet.sources.postgres.asked import asked, asked_row
from rivet.sources.postgres.nativetypes import NativeType, resolve_types
from rivet.sources.postgres.nullness import IS_BELIEVED, NEVER_NULL, WEAK
from rivet.sources.postgres.parsing import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

_LOCKABLE: Final = frozenset("rp")

# What depends on the role's search_path is asked under it, so that each operator and type is
# named with its schema; the others see `asked`.
_FIND: Final = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::pg_catalog.text,
           pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
           pg_catalog.has_table_privilege(c.oid, 'SELECT'), pg_catalog.row_security_active(c.oid)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
      AND c.relname OPERATOR(pg_catalog.=) %(table)s::pg_catalog.name
      AND CASE WHEN %(schema)s::pg_catalog.text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
               ELSE n.nspname OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.text END"""

_NAMES: Final = """
    SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
      AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'::pg_catalog.name
      AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'::pg_catalog.text
    ORDER BY 2, 1 LIMIT 5000"""

_ATTRIBUTES: Final = """
    SELECT a.attname, a.atttypid, a.atttypmod, NOT a.attnotnull,
           pg_catalog.format_type(a.atttypid,
               CASE WHEN a.atttypmod OPERATOR(pg_catalog.>=) 0 THEN a.atttypmod END),
           pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'), a.attnotnull,
           c.relhassubclass
           OR c.relkind::pg_catalog.text OPERATOR(pg_catalog.<>) ALL ('{r,m}'::pg_catalog.text[])
           OR EXISTS (
               SELECT FROM pg_catalog.pg_constraint k
               WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid
                 AND k.contype::pg_catalog.text OPERATOR(pg_catalog.=) 'n'::pg_catalog.text
                 AND NOT k.convalidated)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
    WHERE a.attrelid OPERATOR(pg_catalog.=) %s::pg_catalog.oid
      AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
    ORDER BY a.attnum"""

# Of tables whose marks alone prove nothing; it takes several times as long to plan.
_PROOFS: Final = f"""
    WITH {WEAK}
    SELECT a.attname, NOT {NEVER_NULL}, {IS_BELIEVED}
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped"""  # noqa: S608

_DOMAINS: Final = """
    SELECT a.attrelid::bigint, a.attnum::int, a.atttypid::bigint, a.atttypmod
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = ANY(%s::oid[]) AND t.typtype = 'd' AND a.attnum > 0"""

_FACTS: Final = """
    SELECT sum(c.reltuples * CASE c.relpages WHEN 0 THEN 1 ELSE pg_catalog.pg_relation_size(c.oid)
               / current_setting('block_size')::float8 / c.relpages END)::bigint,
           bool_or(c.reltuples < 0 OR c.relpages = 0 AND pg_catalog.pg_relation_size(c.oid) > 0),
           sum(pg_catalog.pg_table_size(c.oid))::bigint
    FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'm') AND (c.oid = %(oid)s OR c.oid IN (
        SELECT relid FROM pg_catalog.pg_partition_tree(%(oid)s) WHERE isleaf))"""

_KEY: Final = """
    SELECT a.attname
    FROM pg_catalog.pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(number, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE i.indrelid = %s AND i.indisprimary AND i.indisvalid AND k.place <= i.indnkeyatts
    ORDER BY k.place"""


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table, view or foreign table of the catalog, in the catalog's spelling.

    Attributes:
        may_select: The user may read all of it, not only some of its columns.
    """

    oid: int
    schema: str
    name: str
    kind: str
    may_select: bool
    has_row_security: bool = False

    @property
    def is_lockable(self) -> bool:
        """Whether the user may lock it by name."""
        return self.may_select and self.kind in _LOCKABLE


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """One column as the catalog or the parser describes it.

    Attributes:
        nullable: It is not certain to hold no NULL.
        may_read: The user may select it.
        is_believed: The planner may take it to hold no NULL all the same.
    """

    name: str
    type: NativeType
    nullable: bool
    may_read: bool = True
    is_believed: bool = True


def find_table(connection: psycopg.Connection[Any], relation: Relation) -> FoundTable:
    """Find a table by its exact name, else by the name folded to lower case.

    An unquoted name in SQL folds to lower case, so configurations written for that keep working;
    the exact spelling wins where both exist.

    Raises:
        SourceQueryError: There is none; the hint gives near names.
        SourceAuthError: The user may not use its schema.
    """
    spellings = dict.fromkeys(
        (
            (relation.schema, relation.table),
            (
                relation.schema.lower() if relation.schema else None,
                relation.table.lower() if relation.table else None,
            ),
        )
    )
    for schema, table in spellings:
        row = connection.execute(_FIND, {"schema": schema, "table": table}).fetchone()
        if row is None:
            continue
        oid, found_schema, name, kind, may_use_schema, may_select, is_secured = row
        if not may_use_schema:
            msg = f"the user may not use schema '{visible(found_schema)}'"
            raise SourceAuthError(msg, hint="grant the user USAGE on the schema")
        return FoundTable(oid, found_schema, name, kind, may_select, is_secured)
    msg = f"there is no table '{visible(relation.label)}' in this database"
    hint = _near(connection, relation)
    code = "RIVET_SOURCE_TABLE_NOT_FOUND"
    raise SourceQueryError(msg, hint=hint, code=code, relation=relation.label)


def _near(connection: psycopg.Connection[Any], relation: Relation) -> str:
    known = [
        (None if is_visible and not relation.schema else schema, name)
        for schema, name, is_visible in connection.execute(_NAMES).fetchall()
    ]
    otherwise = "check the name, the schema and the database of the source"
    return table_hint(relation, known, otherwise=otherwise)


def table_columns(
    connection: psycopg.Connection[Any], table: FoundTable
) -> tuple[NativeColumn, ...]:
    """Describe a table's columns, in catalog order.

    Raises:
        SourceQueryError: The table has no columns.
    """
    rows = connection.execute(_ATTRIBUTES, (table.oid,)).fetchall()
    if not rows:
        msg = f"{visible(f'{table.schema}.{table.name}')} has no columns"
        raise SourceQueryError(msg, hint="export a query instead")
    spellings = [row[4] for row in rows]
    types = resolve_types(connection, [(row[1], row[2]) for row in rows], spellings)
    proofs = {row[0]: (row[3], row[6]) for row in rows}
    if rows[0][7]:
        found = asked(connection, _PROOFS, {"oid": table.oid})
        proofs = {name: (nullable, is_believed) for name, nullable, is_believed in found}
    return tuple(
        NativeColumn(row[0], native, proofs[row[0]][0], row[5], proofs[row[0]][1])
        for row, native in zip(rows, types, strict=True)
    )


def refuse_unreadable(natives: Iterable[NativeColumn], wanted: set[str], label: str) -> None:
    """Refuse columns that are to be read and may not be.

    Raises:
        SourceAuthError: All of them are named.
    """
    denied = [one.name for one in natives if not one.may_read and one.name in wanted]
    if denied:
        listed = ", ".join(f"'{visible(name)}'" for name in denied)
        msg = f"the user may not read {visible(label)}: {listed}"
        hint = "grant the user SELECT on the table or those columns, or `exclude` them"
        raise SourceAuthError(msg, hint=hint)


def query_columns(connection: psycopg.Connection[Any], query: str) -> tuple[NativeColumn, ...]:
    """Describe a query's result without running it.

    The server parses the query as one statement, so several statements, parameters and mistakes
    are all found here.

    Raises:
        SourceQueryError: The query is not valid, takes parameters or returns no columns.
    """
    result = described(connection, query)
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise errors.error_from_result(result)
    if result.nparams:
        msg = "the query holds a parameter such as $1, and there is no value for it"
        raise SourceQueryError(msg, hint="write the value, or use ${name} with params")
    if not result.nfields:
        msg = "the query returns no columns"
        raise SourceQueryError(msg, hint="write one SELECT statement")
    places = range(result.nfields)
    names = [(result.fname(place) or b"").decode() for place in places]
    origins = [(result.ftable(i), result.ftablecol(i)) for i in places]
    domains = _domains(connection, {table for table, _ in origins if table})
    wanted = [
        domains.get(origin, (result.ftype(i), result.fmod(i)))
        for i, origin in zip(places, origins, strict=True)
    ]
    types = resolve_types(connection, wanted)
    return tuple(
        NativeColumn(name, native, nullable=True) for name, native in zip(names, types, strict=True)
    )


def _domains(
    connection: psycopg.Connection[Any], tables: set[int]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return type and modifier of the columns of tables that have a domain for a type.

    A described query gives the type below a domain; a table's column in it has the domain itself,
    so that a table read as a query has the same types.
    """
    if not tables:
        return {}
    rows = asked(connection, _DOMAINS, (sorted(tables),))
    return {(table, number): (kind, modifier) for table, number, kind, modifier in rows}


def table_facts(connection: psycopg.Connection[Any], table: FoundTable) -> TableFacts:
    """Read estimates and the primary key; partitions are added up."""
    key = tuple(name for (name,) in asked(connection, _KEY, (table.oid,)))
    if table.kind not in {"r", "p", "m"}:
        return TableFacts(key=key)
    row = asked_row(connection, _FACTS, {"oid": table.oid})
    rows, is_partly_unknown, size = row if row is not None else (None, True, None)
    return TableFacts(None if is_partly_unknown else rows, size, key)
