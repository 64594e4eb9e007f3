"""Which columns of PostgreSQL tables hold no NULL: what the server has checked, not what is marked.

A foreign table's NOT NULL is a promise of whoever declared it. A table that inherits may drop the
NOT NULL of its parent, whose rows include its own. PostgreSQL 18 marks a column by a constraint
that was never held against the rows that were there (`NOT VALID`). The planner believes all that
is marked: it drops what an `IS NULL` would find.
"""

from __future__ import annotations

from typing import Final

__all__ = ["IS_BELIEVED", "NEVER_NULL", "WEAK"]

# Columns of a table's members are those of the same name; their numbers may differ.
WEAK: Final = """
    RECURSIVE members AS (
        SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = %(oid)s
      UNION
        SELECT i.inhrelid
        FROM members m JOIN pg_catalog.pg_inherits i ON i.inhparent = m.inhrelid
    ), parts AS (
        SELECT %(oid)s::oid AS oid UNION ALL SELECT inhrelid FROM members
    ), weak AS (
        SELECT p.attname
        FROM parts m
        JOIN pg_catalog.pg_class o ON o.oid = m.oid
        JOIN pg_catalog.pg_attribute p ON p.attrelid = o.oid
        WHERE p.attnum > 0 AND NOT p.attisdropped
          AND (NOT p.attnotnull OR o.relkind = 'f' OR EXISTS (
            SELECT FROM pg_catalog.pg_constraint k
            WHERE k.conrelid = o.oid AND k.contype = 'n' AND NOT k.convalidated
              AND p.attnum = ANY (k.conkey)))
    )"""
"""Common table expressions, behind WITH: `weak` has the columns that may hold NULL; takes `oid`."""

NEVER_NULL: Final = "a.attname NOT IN (SELECT attname FROM weak)"
"""Whether the column `a` of that table holds no NULL."""

IS_BELIEVED: Final = """a.attnotnull OR c.relkind = 'v' OR EXISTS (
        SELECT FROM parts m JOIN pg_catalog.pg_class o ON o.oid = m.oid WHERE o.relkind = 'f')"""
"""Whether the planner may take the column `a` of the relation `c` to hold no NULL."""
