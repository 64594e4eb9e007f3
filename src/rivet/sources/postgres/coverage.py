"""Whether all that a relation is read from is seen in the snapshot of a transaction.

The server plans the statement, views and parts included; nothing is read. A foreign table is of
another server's instant, the server's own state is of the moment, and what a volatile function
reads is not known.

Source:
    PostgreSQL manual, "EXPLAIN", "Function Volatility Categories", "The Cumulative Statistics
    System".
"""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import psycopg

from rivet.redact import visible
from rivet.sources.postgres.asked import asked_row
from rivet.sources.postgres.catalog import find_table
from rivet.sources.postgres.read import DIALECT, from_item
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.model.relation import Relation

_TABLES: Final = frozenset({"r", "p", "m", "f"})
_CALLED: Final = re.compile(r'(?<![\w$])([\w$]++)(?:\\")?\(')
_VOLATILE: Final = """
    SELECT p.proname FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.provolatile = 'v' AND p.prokind = 'f' AND p.proname = ANY (%s)
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    LIMIT 1"""


def unproven_of(connection: psycopg.Connection[Any], relation: Relation) -> str | None:
    """Return what a relation reads that has no snapshot, for people; None is nothing.

    Raises:
        psycopg.Error: The connection failed, or the statement is refused.
    """
    found = find_table(connection, relation) if relation.table is not None else None
    # A table may be read by some of its columns only; a view's functions may stand in any.
    wanted = DIALECT.rows_counted if found is not None and found.kind in _TABLES else "*"
    statement = select([wanted], from_item(relation, found))
    try:
        # Within a snapshot a refusal must not end it: psycopg sets a savepoint there.
        is_open = connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
        with connection.transaction() if is_open else nullcontext():
            row = connection.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}".encode())
            ((body,),) = row.fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return "what is read for it cannot be seen: grant SELECT on all of its columns"
    plan = json.loads(body) if isinstance(body, str) else body
    for node in _nodes(plan[0]["Plan"]):
        if doubt := _of_node(node):
            return doubt
    names = sorted(set(_CALLED.findall(json.dumps(plan, ensure_ascii=False))))
    volatile = asked_row(connection, _VOLATILE, (names,)) if names else None
    return f"what function '{visible(str(volatile[0]))}' reads is not known" if volatile else None


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _of_node(node: dict[str, Any]) -> str | None:
    kind, function = node.get("Node Type"), str(node.get("Function Name", ""))
    if kind == "Foreign Scan":
        # What the other server joins or counts is named in one text.
        name = node.get("Relation Name") or node.get("Relations") or "unnamed"
        return f"a foreign table ({visible(str(name))}) is of another server's instant"
    if kind == "Function Scan" and function.startswith("pg_"):
        return f"function '{visible(function)}' tells what is so at its moment"
    return None
