"""How large tables are according to PostgreSQL's catalog: one statement for all of them.

Must not wait: functions such as `pg_table_size` and `pg_partition_tree` lock what they look at, so
only the catalog's own rows are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from rivet.model.relation import Relation

# Members: partitions and tables that inherit, all of which a read of the table reads. A server
# before 14 writes the same zero for "empty" and for "never looked at".
# Every operator is qualified, since a bare name is that of the role's search_path; `unnest` of
# several arrays is always the server's own.
_SIZES: Final = """
    WITH RECURSIVE found AS (
        SELECT DISTINCT ON (w.place) w.place, c.oid
        FROM unnest(%(places)s::pg_catalog.int4[], %(schemas)s::pg_catalog.text[],
                    %(tables)s::pg_catalog.text[])
             WITH ORDINALITY AS w (place, schema_name, table_name, turn)
        JOIN pg_catalog.pg_class c ON c.relname OPERATOR(pg_catalog.=) w.table_name
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
        WHERE c.relkind::pg_catalog.text OPERATOR(pg_catalog.=)
              ANY ('{r,p,v,m,f}'::pg_catalog.text[])
          AND CASE WHEN w.schema_name IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
                   ELSE n.nspname OPERATOR(pg_catalog.=) w.schema_name END
        ORDER BY w.place, w.turn
    ), members AS (
        SELECT place, oid FROM found
      UNION
        SELECT m.place, i.inhrelid
        FROM members m
        JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) m.oid
    )
    SELECT m.place,
           pg_catalog.sum(c.relpages::bigint
               OPERATOR(pg_catalog.+) greatest(coalesce(t.relpages, 0), 0)::bigint)::bigint
               OPERATOR(pg_catalog.*) pg_catalog.current_setting('block_size')::bigint,
           pg_catalog.bool_or(c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) 'v'
               OR c.reltuples OPERATOR(pg_catalog.<) 0::pg_catalog.float4
               OR (c.relpages OPERATOR(pg_catalog.=) 0 AND pg_catalog.current_setting(
                   'server_version_num')::integer OPERATOR(pg_catalog.<) 140000))
    FROM members m
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) m.oid
    LEFT JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) c.reltoastrelid
    WHERE c.relkind::pg_catalog.text OPERATOR(pg_catalog.<>) 'p'
    GROUP BY m.place"""


def table_sizes(
    connection: psycopg.Connection[Any], relations: Sequence[Relation]
) -> tuple[int | None, ...]:
    """Return the size of each relation in bytes, as of the last VACUUM or ANALYZE.

    Names are found as `find_table` finds them: the exact spelling, else the lower case.

    Returns:
        One per relation; None for a query, a view, a table that is not there or was never
        analysed, or that has such a partition.
    """
    wanted = [
        (place, schema, table)
        for place, relation in enumerate(relations)
        if relation.table is not None
        for schema, table in dict.fromkeys(
            (
                (relation.schema, relation.table),
                (relation.schema and relation.schema.lower(), relation.table.lower()),
            )
        )
    ]
    if not wanted:
        return (None,) * len(relations)
    places, schemas, tables = (list(values) for values in zip(*wanted, strict=True))
    arrays = {"places": places, "schemas": schemas, "tables": tables}
    sizes = {
        place: None if is_unknown else size
        for place, size, is_unknown in connection.execute(_SIZES, arrays)
    }
    return tuple(sizes.get(place) for place in range(len(relations)))
