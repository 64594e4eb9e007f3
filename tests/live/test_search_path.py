"""A search_path in which somebody's own operators, functions and types come before PostgreSQL's."""

from __future__ import annotations

import pytest

from rivet.model.columns import ColumnRules
from rivet.model.relation import KeyProbe, ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.span import ProbeKind
from rivet.model.types import JsonPolicy
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support.worlds.shadows import SHADOWS

pytestmark = pytest.mark.live("postgresql")

MADE = """
    CREATE DOMAIN word AS varchar(9);
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE t (id bigint PRIMARY KEY, w word UNIQUE, m mood, j json, a int[], o oid,
        x "char", n numeric NOT NULL UNIQUE, at timestamptz, f real);
    INSERT INTO t SELECT g, 'w' || g, 'sad', '{"a": 1}', ARRAY[g], 7, 'x', g, now(), 1
        FROM generate_series(1, 300) g;
    CREATE TABLE p (id int NOT NULL, v text) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
    CREATE TABLE p2 PARTITION OF p DEFAULT;
    CREATE VIEW v AS SELECT id, w FROM t;
    CREATE MATERIALIZED VIEW m AS SELECT id, w FROM t;
    CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1::bigint';
    CREATE TABLE secured (id int); ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
    ALTER TABLE secured FORCE ROW LEVEL SECURITY;
    CREATE POLICY all_of_it ON secured USING (true);
    ANALYZE;
"""
TABLES = tuple(Relation(schema="public", table=name) for name in ("t", "p", "v", "m", "secured"))
QUERY = Relation(query="SELECT t.w, j, a, public.counted() AS c FROM public.t, public.v")


def told(session):
    """Return all that a session says without reading rows."""
    first = TABLES[0]
    says = {}
    for relation in (*TABLES, QUERY):
        label = relation.label
        says[label, "columns"] = session.columns(relation, ColumnRules(json=JsonPolicy.CHECK))
        says[label, "facts"] = session.facts(relation)
        says[label, "identity"] = session.identity(relation).database_key
        says[label, "unproven"] = session.unproven(relation)
        says[label, "doubt"] = session.doubt(relation)
        says[label, "count"] = session.count(relation)
    for place in (ProbeKind.FIRST, ProbeKind.LAST, ProbeKind.CUTS, ProbeKind.EXTREMES):
        for name in ("id", "n", "w"):
            probe = KeyProbe(first, (name,), place, rows=100)
            says["keys", place, name] = session.probe_keys(probe)
    says["sizes"] = session.estimates(TABLES)
    says["horizon"] = session.commit_horizon(is_zoned=True).lacks
    says["pressure"] = session.pressure().lag_bytes
    says["impact"] = sorted(session.server_impact())
    says["position"] = session.position() is None
    says["free"] = session.free_connections() > 0
    says["free of user"] = session.free_connections_of_user()
    request = ReadRequest(first, session.columns(first, ColumnRules()))
    says["rows"] = [row for batch in session.read(request) for row in batch.to_pylist()]
    return says


def test_what_a_role_finds_first_changes_no_answer(any_postgres):
    address = SourceAddress("postgresql", url=Secret(any_postgres.url))
    any_postgres.execute(MADE)
    with connect(address, SessionSettings()) as session:
        plain = told(session)
    any_postgres.execute(SHADOWS.replace("{database}", any_postgres.name), admin=True)
    with connect(address, SessionSettings()) as session:
        shadowed = told(session)
    for key, answer in plain.items():
        # A type is spelled with its schema where another of its name comes first.
        assert (key, repr(shadowed[key]).replace("pg_catalog.", "")) == (key, repr(answer))
