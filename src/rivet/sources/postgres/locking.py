"""Keep what is read from being dropped, truncated or rewritten while it is read.

A table is locked by its name before the snapshot is taken: the other way round, a TRUNCATE between
the two would read as an empty table. Where a user has no right to that (it takes SELECT on the
whole table), the server locks what it plans to read, and whether anything was rewritten in between
is asked afterwards.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors

from rivet.errors import PlanError, SourceInterruptedError, SourceQueryError, StalePlanError
from rivet.redact import visible
from rivet.sources.postgres.asked import asked
from rivet.sources.postgres.catalog import find_table, query_columns
from rivet.sources.postgres.changed import relation_dropped
from rivet.sources.postgres.escapes import statement_of
from rivet.sources.postgres.read import DIALECT, from_item

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from rivet.model.relation import Relation
    from rivet.sources.postgres.catalog import FoundTable

_ROUNDS: Final = 3
_STORED: Final = frozenset("rpmv")

_LOCKED: Final = """
    SELECT DISTINCT n.nspname, c.relname, c.relkind IN ('r', 'p')
           AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND c.relkind IN ('r', 'p', 'm')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY 1, 2"""
# The row of the catalog is that of the snapshot, the function's answer that of now.
_REWRITTEN: Final = """
    SELECT DISTINCT n.nspname, c.relname
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND c.relkind IN ('r', 'm') AND c.relfilenode <> 0
      AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)
    ORDER BY 1, 2"""


@dataclass(frozen=True, slots=True)
class Grip:
    """How one relation is locked.

    Attributes:
        relation: What is read.
        tables: Schema and name of the tables that are locked by name.
        statement: What is planned to lock the rest; None where nothing is left.
    """

    relation: Relation
    tables: tuple[tuple[str, str], ...] = ()
    statement: str | None = None


def grip_of(
    connection: psycopg.Connection[Any], relation: Relation, found: FoundTable | None
) -> Grip:
    """Return how a relation is locked, through views as well.

    Args:
        connection: In a fresh transaction: the server locks what it describes.
        relation: What will be read.
        found: Where it is known already, the table.

    Raises:
        StalePlanError: The table is not there any more.
        SourceQueryError: The query is not valid.
    """
    if relation.table is None:
        query_columns(connection, statement_of(connection, relation.query or ""))
        rows = asked(connection, _LOCKED)
        tables = tuple((schema, name) for schema, name, may_lock in rows if may_lock)
        is_left = len(tables) < len(rows)
    else:
        try:
            found = found or find_table(connection, relation)
        except SourceQueryError as error:
            raise relation_dropped(relation, error.hint) from error
        tables = ((found.schema, found.name),) if found.is_lockable else ()
        is_left = not tables and found.kind in _STORED
    rest = f"SELECT FROM {from_item(relation, found)}" if is_left else None
    return Grip(relation, tables, rest)


def hold(
    connection: psycopg.Connection[Any],
    grips: Sequence[Grip],
    begin: Callable[[], None],
    roll_back: Callable[[], None],
) -> None:
    """Begin a transaction that has what it reads locked, and sees it as it is.

    Raises:
        StalePlanError: A table is not there any more.
        SourceInterruptedError: Something is rewritten again and again.
    """
    rewritten: list[tuple[Any, ...]] = []
    for _ in range(_ROUNDS):
        begin()
        for grip in grips:
            lock(connection, grip)
        if all(grip.statement is None for grip in grips):
            return
        rewritten = asked(connection, _REWRITTEN)
        if not rewritten:
            return
        roll_back()
    names = ", ".join(visible(f"{schema}.{name}") for schema, name in rewritten)
    msg = f"{names} is truncated or rewritten again and again"
    raise SourceInterruptedError(msg, hint="run it again when that is over")


def hold_present(
    connection: psycopg.Connection[Any],
    relations: Sequence[Relation],
    grip: Callable[[Relation], Grip],
    begin: Callable[[], None],
    roll_back: Callable[[], None],
) -> None:
    """Begin a transaction as `hold`, for those of many relations that can be read.

    What is wrong with one of them is left to whoever reads it, and stops nobody else.

    Raises:
        StalePlanError: Tables are dropped again and again.
        SourceError: The source refuses, or something is locked for too long.
    """
    for turns_left in reversed(range(_ROUNDS)):
        grips: list[Grip] = []
        for relation in relations:
            with suppress(PlanError, SourceQueryError):
                grips.append(grip(relation))
        try:
            hold(connection, grips, begin, roll_back)
        except StalePlanError:
            roll_back()
            if not turns_left:
                raise
        else:
            return


def lock(connection: psycopg.Connection[Any], grip: Grip, wait: str = "") -> None:
    """Lock what a grip names; what is left is planned, which fixes the snapshot.

    Raises:
        StalePlanError: A table is not there any more.
    """
    for schema, name in grip.tables:
        statement = f"LOCK TABLE {DIALECT.qualified(schema, name)} IN ACCESS SHARE MODE{wait}"
        try:
            connection.execute(statement.encode())
        except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
            raise relation_dropped(grip.relation) from error
    if grip.statement is not None:
        connection.execute(f"EXPLAIN {grip.statement}".encode())
