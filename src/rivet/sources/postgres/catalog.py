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
from rivet.sources.postgres.nullness import IS_BELIEVED, NEVER_NULL, WEAK
from rivet.sources.postgres.parsing import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

_LOCKABLE: Final = frozenset("rp")

_FIND: Final = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text,
           has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'),
           row_security_active(c.oid)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = %(table)s
      AND CASE WHEN %(schema)s::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
               ELSE n.nspname = %(schema)s::text END"""

_NAMES: Final = """
    SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
    ORDER BY 2, 1 LIMIT 5000"""

_ATTRIBUTES: Final = """
    SELECT a.attname, a.atttypid, a.atttypmod, NOT a.attnotnull,
           pg_catalog.format_type(a.atttypid, CASE WHEN a.atttypmod >= 0 THEN a.atttypmod END),
           has_column_privilege(a.attrelid, a.attnum, 'SELECT'), a.attnotnull,
           c.relhassubclass OR c.relkind NOT IN ('r', 'm') OR EXISTS (
               SELECT FROM pg_catalog.pg_constraint k
               WHERE k.conrelid = c.oid AND k.contype = 'n' AND NOT k.convalidated)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

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

_TYPES: Final = """
    WITH RECURSIVE seen AS (
        SELECT t.oid, t.typname, n.nspname, t.typtype, t.typbasetype, t.typtypmod,
               CASE WHEN e.oid IS NULL THEN 0 ELSE t.typelem::bigint END AS element
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
        WHERE t.oid = ANY(%s)
      UNION
        SELECT t.oid, t.typname, n.nspname, t.typtype, t.typbasetype, t.typtypmod,
               CASE WHEN e.oid IS NULL THEN 0 ELSE t.typelem::bigint END
        FROM seen s
        JOIN pg_catalog.pg_type t ON t.oid IN (s.typbasetype, s.element::oid)
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid)
    SELECT oid::bigint, typname, typtype::text, typbasetype::bigint, typtypmod, element,
           CASE WHEN pg_catalog.pg_type_is_visible(oid)
                THEN quote_ident(nspname) || '.' || quote_ident(typname) END,
           CASE WHEN typname IN ('geometry', 'geography') AND EXISTS (
                    SELECT FROM pg_catalog.pg_depend d
                    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                    WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = seen.oid
                      AND d.refclassid = 'pg_catalog.pg_extension'::regclass
                      AND d.deptype = 'e' AND e.extname = 'postgis')
                THEN quote_ident(nspname) END
    FROM seen"""

_SPELLINGS: Final = """
    SELECT pg_catalog.format_type(type_oid, CASE WHEN type_mod < 0 THEN NULL ELSE type_mod END)
    FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY AS u(type_oid, type_mod, place)
    ORDER BY place"""

# Base types whose numbers are fixed in the source of every version (pg_type.dat).
_BASE_TYPES: Final = {
    16: "bool",
    17: "bytea",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    26: "oid",
    114: "json",
    700: "float4",
    701: "float8",
    790: "money",
    869: "inet",
    1042: "bpchar",
    1043: "varchar",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamptz",
    1186: "interval",
    1266: "timetz",
    1700: "numeric",
    2950: "uuid",
    3802: "jsonb",
}

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
class NativeType:
    """A column's type with every domain resolved.

    Attributes:
        spelling: The catalog's spelling with modifiers, such as `numeric(10,2)[]`.
        code: OID of the base type; of the element's base type for an array.
        name: Bare name of that type: extensions give their types no fixed OID.
        modifier: Its type modifier; -1 for none.
        type_kind: `pg_type.typtype` of that type: b, e (enum), c, r, m, p.
        is_array: The column holds arrays of that type.
        written: The type as SQL, where its schema is on the search path, and so its operators are;
            None for the server's own types.
        postgis: The schema of PostGIS as SQL, where the type is its geometry or geography.
    """

    spelling: str
    code: int
    name: str
    modifier: int
    type_kind: str
    is_array: bool
    written: str | None = None
    postgis: str | None = None


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
        found = connection.execute(_PROOFS, {"oid": table.oid}).fetchall()
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
    rows = connection.execute(_DOMAINS, (sorted(tables),)).fetchall()
    return {(table, number): (kind, modifier) for table, number, kind, modifier in rows}


def resolve_types(
    connection: psycopg.Connection[Any],
    wanted: list[tuple[int, int]],
    spellings: list[str] | None = None,
) -> tuple[NativeType, ...]:
    """Resolve (type OID, modifier) pairs through domains and arrays to base types.

    Args:
        connection: Asked only about types that not every server has under the same number.
        wanted: The pairs.
        spellings: How the catalog writes each; None asks for that, too.
    """
    if not wanted:
        return ()
    oids, modifiers = [oid for oid, _ in wanted], [modifier for _, modifier in wanted]
    known = _known_types(connection, set(oids))
    if spellings is None:
        rows = connection.execute(_SPELLINGS, (oids, modifiers)).fetchall()
        spellings = [spelling for (spelling,) in rows]
    resolved = []
    for (oid, modifier), spelling in zip(wanted, spellings, strict=True):
        code, base_modifier = _base(known, oid, modifier)
        element = known[code][4]
        if element:
            code, base_modifier = _base(known, element, base_modifier)
            # A domain over an array inside an array has no list form of its own.
            is_nested = bool(known[code][4])
        else:
            is_nested = False
        name, type_kind = ("", "n") if is_nested else known[code][:2]
        own = (bool(element), *known[code][5:])
        resolved.append(NativeType(spelling, code, name, base_modifier, type_kind, *own))
    return tuple(resolved)


def _known_types(connection: psycopg.Connection[Any], oids: set[int]) -> dict[int, tuple[Any, ...]]:
    """Return what `_TYPES` gives by OID, of these types and what they rest on."""
    known: dict[int, tuple[Any, ...]] = {
        oid: (_BASE_TYPES[oid], "b", 0, -1, 0, None, None) for oid in oids & _BASE_TYPES.keys()
    }
    if others := sorted(oids - known.keys()):
        rows = connection.execute(_TYPES, (others,)).fetchall()
        known.update({row[0]: row[1:] for row in rows})
    return known


def _base(known: dict[int, tuple[Any, ...]], oid: int, modifier: int) -> tuple[int, int]:
    while known[oid][1] == "d":
        base, domain_modifier = known[oid][2:4]
        oid, modifier = base, modifier if modifier >= 0 else domain_modifier
    return oid, modifier


def table_facts(connection: psycopg.Connection[Any], table: FoundTable) -> TableFacts:
    """Read estimates and the primary key; partitions are added up."""
    key = tuple(name for (name,) in connection.execute(_KEY, (table.oid,)).fetchall())
    if table.kind not in {"r", "p", "m"}:
        return TableFacts(key=key)
    row = connection.execute(_FACTS, {"oid": table.oid}).fetchone()
    rows, is_partly_unknown, size = row if row is not None else (None, True, None)
    return TableFacts(None if is_partly_unknown else rows, size, key)
