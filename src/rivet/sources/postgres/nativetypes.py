"""Type resolution: the base type that pg_type has for a column, through domains and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg

__all__ = ["NativeType", "resolve_types"]

# What is visible depends on the role's search_path, see `asked`: every name has its schema.
_TYPES: Final = """
    WITH RECURSIVE seen AS (
        SELECT t.oid, t.typname, n.nspname, t.typtype, t.typbasetype, t.typtypmod,
               CASE WHEN e.oid IS NULL THEN 0::pg_catalog.oid ELSE t.typelem END AS element
        FROM pg_catalog.pg_type t
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
        LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) t.typelem
            AND e.typarray OPERATOR(pg_catalog.=) t.oid
        WHERE t.oid OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.oid[])
      UNION
        SELECT t.oid, t.typname, n.nspname, t.typtype, t.typbasetype, t.typtypmod,
               CASE WHEN e.oid IS NULL THEN 0::pg_catalog.oid ELSE t.typelem END
        FROM seen s
        JOIN pg_catalog.pg_type t
            ON t.oid OPERATOR(pg_catalog.=) ANY (ARRAY[s.typbasetype, s.element])
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
        LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) t.typelem
            AND e.typarray OPERATOR(pg_catalog.=) t.oid)
    SELECT oid::bigint, typname, typtype::pg_catalog.text, typbasetype::bigint, typtypmod,
           element::bigint, CASE WHEN pg_catalog.pg_type_is_visible(oid) THEN pg_catalog.concat(
               pg_catalog.quote_ident(nspname), '.', pg_catalog.quote_ident(typname)) END,
           CASE WHEN typname::pg_catalog.text OPERATOR(pg_catalog.=)
                    ANY ('{geometry,geography}'::pg_catalog.text[]) AND EXISTS (
                    SELECT FROM pg_catalog.pg_depend d
                    JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
                    WHERE d.classid OPERATOR(pg_catalog.=)
                          'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid
                      AND d.objid OPERATOR(pg_catalog.=) seen.oid
                      AND d.refclassid OPERATOR(pg_catalog.=)
                          'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid
                      AND d.deptype::pg_catalog.text OPERATOR(pg_catalog.=) 'e'::pg_catalog.text
                      AND e.extname OPERATOR(pg_catalog.=) 'postgis'::pg_catalog.name)
                THEN pg_catalog.quote_ident(nspname) END
    FROM seen"""

_SPELLINGS: Final = """
    SELECT pg_catalog.format_type(type_oid,
        CASE WHEN type_mod OPERATOR(pg_catalog.>=) 0 THEN type_mod END)
    FROM unnest(%s::pg_catalog.oid[], %s::pg_catalog.int4[])
         WITH ORDINALITY AS u(type_oid, type_mod, place)
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
