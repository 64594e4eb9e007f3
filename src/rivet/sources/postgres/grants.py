"""What a PostgreSQL user with rights on some columns cannot use of a table.

Blocks are asked for by a system column, which takes SELECT on the whole table; a key can be sought
where all of its columns may be read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rivet.sources.postgres.asked import asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from rivet.model.relation import TableFacts
    from rivet.sources.postgres.catalog import FoundTable

_DENIED: Final = """
    SELECT a.attname::text FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
      AND NOT has_column_privilege(a.attrelid, a.attnum, 'SELECT')"""


def within_grants(
    connection: psycopg.Connection[Any], table: FoundTable, facts: TableFacts
) -> TableFacts:
    """Return what of the facts is of use to the user."""
    if table.may_select:
        return facts
    denied = {name for (name,) in asked(connection, _DENIED, (table.oid,))}

    def is_granted(columns: Sequence[str]) -> bool:
        return denied.isdisjoint(columns)

    return replace(
        facts,
        key=facts.key if is_granted(facts.key) else (),
        keys=tuple(key for key in facts.keys if is_granted(key.columns)),
        nullable_keys=tuple(filter(is_granted, facts.nullable_keys)),
        indexed=tuple(name for name in facts.indexed if name not in denied),
        blocks=None,
        denied=tuple(sorted(denied)),
    )
