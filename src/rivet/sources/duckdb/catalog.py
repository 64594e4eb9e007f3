"""What a DuckDB file says of its tables, views and queries; never reads their rows.

Every function takes a cursor and leaves errors of the driver to the caller's `translated` block.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from rivet.errors import PlanError, SourceQueryError
from rivet.model.relation import Key, Relation, TableFacts
from rivet.redact import visible
from rivet.sources.duckdb.types import DIALECT, NativeColumn
from rivet.sources.nearnames import table_hint
from rivet.sources.sql import single_statement, subquery

if TYPE_CHECKING:
    from collections.abc import Sequence

_WHOLE: Final = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
_TABLES: Final = """
    SELECT schema_name, table_name, estimated_size FROM duckdb_tables()
    WHERE database_name = current_database()
  UNION ALL
    SELECT schema_name, view_name, NULL FROM duckdb_views()
    WHERE database_name = current_database() AND NOT internal"""
_KEYS: Final = """
    SELECT constraint_column_names, constraint_type = 'PRIMARY KEY' FROM duckdb_constraints()
    WHERE database_name = current_database() AND schema_name = ? AND table_name = ?
      AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
    ORDER BY constraint_type, constraint_index"""


def find_table(cursor: Any, relation: Relation) -> tuple[str, str, int | None]:  # noqa: ANN401
    """Return schema, name and estimated rows of a table or view, as the catalog spells it.

    DuckDB's names are the same in any letter case; the exact spelling comes first.

    Raises:
        SourceQueryError: There is none; the hint names near ones.
    """
    rows = cursor.execute(_TABLES).fetchall()
    schema, table = relation.schema or "main", relation.table or ""
    exact = [row for row in rows if (row[0], row[1]) == (schema, table)]
    loose = [
        row for row in rows if (row[0].lower(), row[1].lower()) == (schema.lower(), table.lower())
    ]
    for found in (*exact, *loose):
        return found[0], found[1], found[2]
    known = [
        (None if owner == "main" and not relation.schema else owner, name)
        for owner, name, _ in rows
    ]
    otherwise = "check the name, the schema and the file" if rows else "the database has no tables"
    hint = table_hint(relation, known, otherwise=otherwise)
    msg = f"no table or view '{visible(relation.label)}' in the database"
    code = "RIVET_SOURCE_TABLE_NOT_FOUND"
    raise SourceQueryError(msg, hint=hint, code=code, table=relation.label)


def source_sql(cursor: Any, relation: Relation) -> str:  # noqa: ANN401
    """Return what stands behind FROM: the table by its quoted name, or the query."""
    if relation.table is None:
        return subquery(single_statement(relation.query or "", DIALECT))
    schema, table, _ = find_table(cursor, relation)
    return DIALECT.qualified(schema, table)


def columns_of(cursor: Any, relation: Relation) -> tuple[NativeColumn, ...]:  # noqa: ANN401
    """Describe a relation's columns.

    Raises:
        SourceQueryError: No such table.
    """
    if relation.table is None:
        described, is_kept = single_statement(relation.query or "", DIALECT), False
    else:
        schema, table, size = find_table(cursor, relation)
        described, is_kept = DIALECT.qualified(schema, table), size is not None
    rows = cursor.execute(f"DESCRIBE {described}").fetchall()
    if relation.table is None:
        _refuse_alike([str(name) for name, *_ in rows])
    # What a query or a view is said to hold is what its tables hold, be it on the side of an outer
    # join where NULL stands for a row that is not there.
    return tuple(
        NativeColumn(name, kind, nullable=not is_kept or is_nullable != "NO")
        for name, kind, is_nullable, *_ in rows
    )


def _refuse_alike(names: Sequence[str]) -> None:
    """Refuse names that differ in letter case only: the second would be read as the first.

    Raises:
        PlanError: They are named.
    """
    folded = Counter(name.lower() for name in dict.fromkeys(names))
    alike = [f"'{visible(name)}'" for name in dict.fromkeys(names) if folded[name.lower()] > 1]
    if alike:
        msg = f"query: columns whose names differ in letter case only: {', '.join(alike)}"
        raise PlanError(msg, hint="give each column its own name with AS")


def facts_of(cursor: Any, relation: Relation) -> TableFacts:  # noqa: ANN401
    """Read a table's key and row estimate; a query has neither."""
    if relation.table is None:
        return TableFacts()
    schema, table, rows = find_table(cursor, relation)
    natives = {one.name.lower(): one for one in columns_of(cursor, relation)}
    # A constraint spells its columns as whoever wrote it did.
    found = [
        (tuple(natives[name.lower()] for name in names), is_primary)
        for names, is_primary in cursor.execute(_KEYS, [schema, table]).fetchall()
    ]
    named = {tuple(one.name for one in columns): columns for columns, _ in found}
    nullable = tuple(
        names for names, columns in named.items() if any(one.nullable for one in columns)
    )
    keys = tuple(
        Key(names, is_integer=len(names) == 1 and columns[0].type in _WHOLE)
        for names, columns in named.items()
        if names not in nullable
    )
    primary = [tuple(one.name for one in columns) for columns, is_primary in found if is_primary]
    return TableFacts(
        estimated_rows=rows,
        key=primary[0] if primary else (),
        keys=keys,
        nullable_keys=nullable,
        indexed=tuple(dict.fromkeys(names[0] for names in named)),
    )


def table_sizes(cursor: Any, relations: Sequence[Relation]) -> tuple[int | None, ...]:  # noqa: ANN401
    """Return the estimated rows of tables; see `EstimatesSizes`."""
    found = {
        (schema.lower(), table.lower()): rows
        for schema, table, rows in cursor.execute(_TABLES).fetchall()
    }
    return tuple(
        None
        if one.table is None
        else found.get(((one.schema or "main").lower(), one.table.lower()))
        for one in relations
    )
