"""Whether every value of PostgreSQL's `json` columns is JSON to those who read the file.

The server checks what RFC 8259 says of the grammar. It keeps the escape of half a surrogate pair,
which is no character, and which readers refuse; `jsonb` does not take one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from rivet.model.types import JsonPolicy
from rivet.sources.postgres.catalog import refuse_unreadable
from rivet.sources.postgres.overrides import is_unproven_json, plan_columns
from rivet.sources.postgres.read import DIALECT
from rivet.sources.sql import select

if TYPE_CHECKING:
    import psycopg

    from rivet.model.columns import Column, ColumnRules
    from rivet.sources.postgres.catalog import NativeColumn

__all__ = ["judged_columns"]

# Backslashes that stand for themselves go first, then whole pairs; what is left is half of one.
_ANY: Final = r"\\u[dD][89a-fA-F]"
_LIKE: Final = "OPERATOR(pg_catalog.~)"
_ESCAPED: Final = "\\\\"
_PAIR: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"


def judged_columns(
    connection: psycopg.Connection[Any],
    natives: tuple[NativeColumn, ...],
    rules: ColumnRules,
    source: str,
    label: str,
) -> tuple[Column, ...]:
    """Return the columns of an export; asks about their values where `types: {json: check}` does.

    Args:
        connection: In a transaction.
        natives: Every column of the relation.
        rules: What the user said.
        source: What stands behind FROM.
        label: The relation, for messages.

    Raises:
        SourceAuthError: Columns that are to be read and may not be.
        UnsafeTypeError: As `plan_columns`.
    """
    columns = plan_columns(natives, rules)
    refuse_unreadable(natives, {column.source_name for column in columns}, label)
    if rules.json is not JsonPolicy.CHECK:
        return columns
    named = {column.source_name for column in columns if is_unproven_json(column)}
    asked = [native for native in natives if native.name in named]
    return plan_columns(natives, rules, _with_half_pairs(connection, asked, source))


def _with_half_pairs(
    connection: psycopg.Connection[Any], asked: list[NativeColumn], source: str
) -> frozenset[str]:
    """Return the columns in which a value escapes half of a surrogate pair.

    Reads a column from end to end where there is none.
    """
    if not asked:
        return frozenset()
    any_half, escaped, pair = (
        sql.Literal(text).as_string(connection) for text in (_ANY, _ESCAPED, _PAIR)
    )

    def question(native: NativeColumn) -> str:
        name = DIALECT.identifier(native.name)
        values, one = source, name
        if native.type.is_array:
            values, one = f"{source}, pg_catalog.unnest({name}) AS _rivet_list (one)", "one"
        text = f"{one}::pg_catalog.text"
        rest = f"pg_catalog.replace({text}, {escaped}, '')"
        rest = f"pg_catalog.regexp_replace({rest}, {pair}, '', 'g')"
        found = select(["1"], values)
        return f"EXISTS ({found} WHERE {text} {_LIKE} {any_half} AND {rest} {_LIKE} {any_half})"

    row = connection.execute(f"SELECT {', '.join(map(question, asked))}".encode()).fetchone()
    held = row or (True,) * len(asked)
    return frozenset(native.name for native, has in zip(asked, held, strict=True) if has)
