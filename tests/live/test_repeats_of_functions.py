"""Functions of the user's own, and views, decide whether a query is the same each time."""

from __future__ import annotations

import json

import duckdb
import pytest

import rivet
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources import load_engine

POSTGRES = """
    CREATE TABLE t (id int, v text);
    CREATE FUNCTION own_volatile(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION own_stable(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1 + 1';
    CREATE FUNCTION "Own Immutable"(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION own_few() RETURNS SETOF t STABLE LANGUAGE sql AS 'SELECT * FROM t LIMIT 5';
    CREATE FUNCTION own_calls(int) RETURNS int STABLE LANGUAGE plpgsql
        AS 'BEGIN RETURN own_volatile($1); END';
    CREATE AGGREGATE own_aggregate(int) (SFUNC = int4larger, STYPE = int);
    CREATE VIEW v1 AS SELECT id, own_volatile(id) AS k FROM t;
    CREATE VIEW "V w" AS SELECT * FROM v1;
    CREATE VIEW good AS SELECT id, lower(v) AS k FROM t;
    CREATE MATERIALIZED VIEW kept AS SELECT * FROM v1;
    CREATE SCHEMA other; CREATE VIEW other.v2 AS SELECT id FROM t TABLESAMPLE SYSTEM (50)"""
MARIADB = """
    CREATE TABLE t (id int, v varchar(9));
    CREATE FUNCTION own_volatile(a int) RETURNS int READS SQL DATA RETURN a;
    CREATE FUNCTION own_stable(a int) RETURNS int DETERMINISTIC RETURN a + 1;
    CREATE VIEW v1 AS SELECT id, own_volatile(id) AS k FROM t;
    CREATE VIEW w AS SELECT * FROM v1;
    CREATE VIEW good AS SELECT id, lower(concat(v, 'x')) AS k FROM t"""


def doubts(engine, database, queries, tables=()):
    address = SourceAddress(engine, url=Secret(database.url))
    relations = [Relation(query=query) for query in queries]
    relations += [Relation(schema=schema, table=table) for schema, table in tables]
    with load_engine(engine).connect(address, SessionSettings()) as session:
        return [doubt and doubt.why for doubt in map(session.doubt, relations)]


@pytest.mark.live("postgresql")
def test_of_postgresql(postgres):
    postgres.execute(POSTGRES)
    bad = {
        "SELECT id, own_volatile(id) AS k FROM t": "own_volatile",
        "SELECT id, OWN_VOLATILE (id) AS k FROM t": "own_volatile",
        "SELECT * FROM own_few()": "own_few() takes a part",
        "SELECT own_calls(id) FROM t": "own_volatile",
        "SELECT own_aggregate(id) FROM t": "own_aggregate",
        'SELECT * FROM "V w"': "own_volatile",
        "SELECT * FROM other.v2": "view 'other.v2' samples",
        "SELECT g FROM generate_series(1, 5) g WHERE pg_sleep(0) IS NOT NULL": "pg_sleep",
    }
    found = dict(zip(bad, doubts("postgresql", postgres, bad), strict=True))
    assert not {query: found[query] for query in bad if bad[query] not in str(found[query])}
    good = [
        'SELECT own_stable(id), "Own Immutable"(id) FROM t',
        "SELECT * FROM good JOIN kept USING (id)",
        "SELECT upper(v), round(id::numeric(10, 2), 1), id = ANY (ARRAY[1]) FROM t",
        "SELECT * FROM unnest(ARRAY[1, 2]) WITH ORDINALITY AS u(a, n)",
        "SELECT date_trunc('day', timestamptz '2024-01-01'), to_char(5, '99') FROM t",
    ]
    assert not [why for why in doubts("postgresql", postgres, good) if why]
    views = [("other", "v2"), (None, "good"), (None, "t"), (None, "kept")]
    assert [bool(why) for why in doubts("postgresql", postgres, (), views)] == [True] + [False] * 3


@pytest.mark.live("mysql")
def test_of_mariadb(mariadb):
    for statement in MARIADB.split(";\n"):
        mariadb.execute(statement)
    bad = [
        "SELECT id, own_volatile(id) AS k FROM t",
        "SELECT id, `OWN_VOLATILE`(id) AS k FROM t",
        "SELECT * FROM w",
        "SELECT some_udf(id) FROM t",
        "SELECT @a := id FROM t",
    ]
    assert all(doubts("mysql", mariadb, bad))
    good = [
        "SELECT own_stable(id), concat(v, 'x'), CAST(id AS decimal(9, 2)) FROM t WHERE id IN (1)",
        "SELECT * FROM good",
        "SELECT a.id FROM (SELECT id FROM t) a JOIN t b ON (a.id = b.id) AND EXISTS (SELECT 1)",
    ]
    assert doubts("mysql", mariadb, good) == [None] * len(good)
    assert [bool(why) for why in doubts("mysql", mariadb, (), [(None, "w"), (None, "good")])] == [
        True,
        False,
    ]


@pytest.mark.live("postgresql")
def test_scans_begin_at_the_beginning(any_postgres, tmp_path):
    any_postgres.execute(
        "CREATE TABLE big AS SELECT g AS id, repeat('x', 500) AS v FROM generate_series(1, 70000) g"
    )
    export = {
        "name": "big",
        "query": "SELECT row_number() OVER () AS rn, id FROM big",
        "query_is_stable": True,
        "mode": "chunked",
        "chunk_column": "rn",
        "chunk_size": 10000,
        "format": "parquet",
        "destination": {"type": "local", "path": str(tmp_path / "out")},
    }
    source = {"type": "postgresql", "url": any_postgres.url, "tls": {"mode": "disable"}}
    # Somebody else's scan that stopped in the middle: later ones would begin there.
    with any_postgres.connect() as other:
        other.execute("BEGIN; DECLARE c CURSOR FOR SELECT * FROM big; FETCH 30000 FROM c")
        assert other.execute("SELECT id FROM big LIMIT 1").fetchone() != (1,)
        assert rivet.run({"source": source, "exports": [export]}).is_success
    parts = json.loads((tmp_path / "out" / "manifest.json").read_text())["parts"]
    paths = [str(tmp_path / "out" / part["path"]) for part in parts]
    counted = "count(*), count(DISTINCT rn), count(DISTINCT id)"
    found = duckdb.sql(f"SELECT {counted} FROM read_parquet({paths})").fetchall()
    assert found == [(70_000, 70_000, 70_000)]
