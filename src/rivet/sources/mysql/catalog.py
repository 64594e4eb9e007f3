"""What MySQL's and MariaDB's catalogs say: columns, keys, estimates; never reads user data.

Every function takes a connection of `link.py` and leaves errors of the driver to the caller.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import ER
from pymysql.err import MySQLError

from rivet.errors import SourceAuthError, SourceQueryError
from rivet.model.relation import Relation, TableFacts
from rivet.redact import visible
from rivet.sources.dialect import Dialect
from rivet.sources.mysql import types
from rivet.sources.mysql.charsets import has_gaps
from rivet.sources.mysql.faults import error_number, source_error
from rivet.sources.mysql.link import ask
from rivet.sources.mysql.overrides import DIALECT, dialect_of
from rivet.sources.mysql.settings import CHARACTER_SET
from rivet.sources.mysql.types import NativeColumn, native_column
from rivet.sources.nearnames import near_tables, table_hint
from rivet.sources.sql import select, single_statement, subquery

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymysql.connections import Connection
    from pymysql.protocol import FieldDescriptorPacket


_ANSI: Final = Dialect()
_LONGEST_TEXT: Final = 2**32 - 1
_NO_TABLE: Final = frozenset({ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR})
_NO_COLUMN: Final = frozenset({ER.BAD_FIELD_ERROR, ER.COLUMNACCESS_DENIED_ERROR})

_NAMES: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(TABLE_SCHEMA = DATABASE(), 0)
    FROM information_schema.TABLES
    WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
    ORDER BY 2, 1 LIMIT 5000"""


def same_name(column: str, value: str) -> str:
    """Return the condition that a catalog's name is a value, as the server itself compares names.

    The catalog's own collation takes `t` for `T` and `e` for `é`, which can be tables of their own.
    """
    exact = f"CAST({column} AS BINARY) = CAST({value} AS BINARY)"
    lower = f"CAST(LOWER({column}) AS BINARY) = CAST(LOWER({value}) AS BINARY)"
    return f"({column} = {value} AND IF(@@lower_case_table_names, {lower}, {exact}))"


PLACE: Final = " AND ".join(
    (
        same_name("TABLE_SCHEMA", "COALESCE(%(schema)s, DATABASE())"),
        same_name("TABLE_NAME", "%(table)s"),
    )
)
"""The condition that a row of the catalog is about the table of `place_of`."""

_SIZE: Final = f"""
    SELECT TABLE_ROWS, DATA_LENGTH, ENGINE FROM information_schema.TABLES
    WHERE {PLACE}"""  # noqa: S608 - constants of this file
_TYPE: Final = f"""
    SELECT TABLE_TYPE FROM information_schema.TABLES
    WHERE {PLACE}"""  # noqa: S608 - constants of this file
_SIZES: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_SCHEMA = DATABASE(), DATA_LENGTH
    FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' AND TABLE_NAME IN %s"""
# MariaDB keeps JSON as text with this check, which is all that tells it from other text.
_CHECKS: Final = f"""
    SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
    WHERE {same_name("CONSTRAINT_SCHEMA", "%(schema)s")}
      AND {same_name("TABLE_NAME", "%(table)s")}"""  # noqa: S608 - constants of this file


def place_of(relation: Relation) -> dict[str, str | None]:
    """Return the values of `PLACE` for a table."""
    return {"schema": relation.schema, "table": relation.table}


def source_sql(relation: Relation, dialect: Dialect = DIALECT) -> str:
    """Return what stands behind FROM: the table by its quoted name, or the query."""
    if relation.table is not None:
        return dialect.qualified(relation.schema, relation.table)
    return subquery(single_statement(relation.query or "", dialect))


def columns_of(
    connection: Connection[Any], relation: Relation, names: Sequence[str] | None = None
) -> tuple[NativeColumn, ...]:
    """Describe a relation's columns without running anything: the server prepares a statement.

    Args:
        connection: Asked.
        relation: A table, a view or a query.
        names: The columns of a table that are described; None is all.

    Raises:
        SourceQueryError: No such table, or the statement gives no rows.
        pymysql.Error: As the server refuses the statement.
    """
    if relation.table is None:
        sql = single_statement(relation.query or "", dialect_of(connection))
    else:
        listed = ["*"] if names is None else [DIALECT.identifier(name) for name in names]
        sql = select(listed, source_sql(relation))
    try:
        fields = _prepared(connection, sql)
    except MySQLError as error:
        if relation.table is not None and error_number(error) in _NO_TABLE:
            raise _not_found(connection, relation) from error
        is_denied = (
            relation.table is not None and error_number(error) == ER.TABLEACCESS_DENIED_ERROR
        )
        if is_denied and (told := _denied(connection, relation, error)):
            raise told from error
        raise
    if not fields:
        msg = "the query gives no rows: it is not a SELECT"
        raise SourceQueryError(msg, hint="write one SELECT statement")
    return _with_gaps(connection, sql, _with_json(connection, fields))


def _with_gaps(
    connection: Connection[Any], sql: str, natives: tuple[NativeColumn, ...]
) -> tuple[NativeColumn, ...]:
    """Find the texts whose character set Unicode does not cover.

    The server tells a column's own character set where results are not converted.
    """
    if not any(native.is_text for native in natives):
        return natives
    ask(connection, "SET SESSION character_set_results = NULL")
    try:
        fields = _prepared(connection, sql)
    finally:
        ask(connection, f"SET SESSION character_set_results = {CHARACTER_SET}")
    own = [field.charsetnr for field in fields]
    gaps = {one: has_gaps(connection, one) for one in dict.fromkeys(own)}
    if len(own) != len(natives) or not any(gaps.values()):
        return natives
    return tuple(
        replace(native, has_gaps=native.is_text and gaps[one])
        for native, one in zip(natives, own, strict=True)
    )


def hidden_columns(
    connection: Connection[Any], relation: Relation, names: Sequence[str]
) -> tuple[NativeColumn, ...]:
    """Describe columns of a table by their names, also those that a star does not stand for.

    Returns:
        In the order given; nothing where one of them is not there or may not be read.
    """
    if not names:
        return ()
    listed = [DIALECT.identifier(name) for name in names]
    try:
        fields = _prepared(connection, select(listed, source_sql(relation)))
    except MySQLError as error:
        if error_number(error) not in _NO_COLUMN:
            raise
        return ()
    return _with_json(connection, fields)


def _prepared(connection: Connection[Any], sql: str) -> list[FieldDescriptorPacket]:
    """Let the server prepare a statement and return its columns."""
    driver: Any = connection
    return list(driver.described(sql))


def natives_of(fields: Iterable[FieldDescriptorPacket]) -> tuple[NativeColumn, ...]:
    """Return the columns that the driver's column definitions describe."""
    return tuple(
        native_column(
            name=field.name,
            code=field.type_code,
            charset=field.charsetnr,
            length=field.length,
            flags=field.flags,
            scale=field.scale,
        )
        for field in fields
    )


def _with_json(
    connection: Connection[Any], fields: Sequence[FieldDescriptorPacket]
) -> tuple[NativeColumn, ...]:
    """Describe columns, and find those that MariaDB declares JSON; MySQL has a type for it."""
    natives = list(natives_of(fields))
    if "mariadb" not in str(connection.get_server_info()).lower():
        return tuple(natives)
    checks: dict[tuple[bytes, str], set[str]] = {}
    for place, (field, native) in enumerate(zip(fields, natives, strict=True)):
        is_long = native.code == types.BLOB and native.length == _LONGEST_TEXT
        if native.is_binary or not is_long or not field.db or not field.org_table:
            continue
        origin = (field.db, field.org_table)
        if origin not in checks:
            names = {"schema": field.db.decode(), "table": field.org_table}
            rows = ask(connection, _CHECKS, names)
            checks[origin] = {clause for (clause,) in rows}
        # The catalog quotes as `sql_mode` and `sql_quote_show_create` say.
        quoted = {one.identifier(field.org_name) for one in (DIALECT, _ANSI)} | {field.org_name}
        if any(f"json_valid({one})" in checks[origin] for one in quoted):
            natives[place] = replace(native, code=types.JSON)
    return tuple(natives)


def _not_found(connection: Connection[Any], relation: Relation) -> SourceQueryError:
    table = relation.label
    otherwise = "write it as database.table; check the grants"
    hint = table_hint(relation, _seen_tables(connection, relation), otherwise=otherwise)
    msg = f"no table or view '{visible(table)}' that this user may see"
    code = "RIVET_SOURCE_TABLE_NOT_FOUND"
    return SourceQueryError(msg, hint=hint, code=code, table=table)


def _seen_tables(connection: Connection[Any], relation: Relation) -> list[tuple[str | None, str]]:
    """Return the tables that the user may see, with their databases where one was named."""
    return [
        (None if is_current and not relation.schema else str(schema), str(name))
        for schema, name, is_current in ask(connection, _NAMES)
    ]


def _denied(
    connection: Connection[Any], relation: Relation, error: MySQLError
) -> SourceAuthError | None:
    """Return the error of a table that the user may not read, and cannot tell from one that is not.

    None where the catalog shows it: then it is there.
    """
    seen = _seen_tables(connection, relation)
    near = near_tables(relation, seen)
    if not near or ask(connection, _TYPE, place_of(relation)):
        return None
    told = source_error(
        error, f"describing {visible(relation.label)}", statement_timeout_s=0, waited_s=0
    )
    hint = f"did you mean {' or '.join(near)}? If not, grant the user SELECT on it"
    return SourceAuthError(told.message, hint=hint, table=relation.label)


def is_view(connection: Connection[Any], relation: Relation) -> bool:
    """Whether a relation is a view; it is not, where the catalog shows the user no such table."""
    return any(str(one) == "VIEW" for (one,) in ask(connection, _TYPE, place_of(relation)))


def table_facts(connection: Connection[Any], relation: Relation) -> tuple[TableFacts, str | None]:
    """Read a table's estimates and the name of its storage engine, which a view has not."""
    found = ask(connection, _SIZE, place_of(relation))
    rows, size_bytes, engine = found[0] if found else (None, None, None)
    facts = TableFacts(
        estimated_rows=None if rows is None else int(rows),
        estimated_bytes=None if size_bytes is None else int(size_bytes),
    )
    return facts, engine


def table_sizes(
    connection: Connection[Any], relations: Sequence[Relation]
) -> tuple[int | None, ...]:
    """Return the bytes of tables as the catalog has them; see `EstimatesSizes`."""
    wanted = sorted({one.table for one in relations if one.table is not None})
    if not wanted:
        return (None,) * len(relations)
    found: dict[tuple[str | None, str], int | None] = {}
    for schema, table, is_current, size in ask(connection, _SIZES, (tuple(wanted),)):
        found[schema, table] = size
        if is_current:
            found[None, table] = size
    return tuple(
        None if one.table is None else found.get((one.schema, one.table)) for one in relations
    )
