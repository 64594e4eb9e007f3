"""How many rows a statement gives is a clause of the dialect: no engine has to speak LIMIT."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from rivet.model.relation import KeyProbe, Relation
from rivet.model.span import ProbeKind
from rivet.sources.dialect import Dialect
from rivet.sources.seek import question_sql
from rivet.sources.sqlite.catalog import columns_of
from rivet.sources.sqlite.keys import KeySpelling

T = Relation(table="t")
STANDARD = replace(
    Dialect(),
    limit_clause="FETCH FIRST {rows} ROWS ONLY",
    offset_clause="OFFSET {offset} ROWS FETCH NEXT {rows} ROWS ONLY",
)


@pytest.mark.parametrize("place", ProbeKind)
def test_every_probe_is_limited_by_the_dialect(place):
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        spelling = KeySpelling.of(columns_of(connection, T))
    probe = KeyProbe(T, ("a",), place, rows=7, bounds=(("1",),))
    statement = question_sql(probe, '"t"', spelling, STANDARD)
    assert "LIMIT" not in statement
    tail = {
        ProbeKind.STEP: " OFFSET 6 ROWS FETCH NEXT 1 ROWS ONLY",
        ProbeKind.FIRST: " FETCH FIRST 1 ROWS ONLY",
        ProbeKind.LAST: " FETCH FIRST 1 ROWS ONLY",
        ProbeKind.NULL: " FETCH FIRST 1 ROWS ONLY",
    }
    assert statement.endswith(tail.get(place, statement[-1:]))
    ours = question_sql(probe, '"t"', spelling, Dialect())
    assert ours.endswith(" LIMIT 1 OFFSET 6") == (place is ProbeKind.STEP)
