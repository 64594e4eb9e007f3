"""What a real PostgreSQL catalog says: relations, rights, extension types, stale plans."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import psycopg
import pytest

from rivet.errors import (
    FormatError,
    PlanError,
    SourceAuthError,
    SourceQueryError,
    StalePlanError,
)
from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support.asking import value_of
from support.proxy import Proxy

pytestmark = pytest.mark.live("postgresql")
T = Relation(table="t")


def opened(database, **settings):
    return connect(
        SourceAddress("postgresql", url=Secret(database.url)), SessionSettings(**settings)
    )


def stream_of(session, relation=T, **bounds):
    columns = session.columns(relation, ColumnRules())
    return session.read(ReadRequest(relation, columns, **bounds))


def values(stream):
    return [row for batch in stream for row in zip(*batch.to_pydict().values(), strict=True)]


def test_facts(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (a int, b int, c text, PRIMARY KEY (b, a)); INSERT INTO t SELECT i, i, 'x' "
        "FROM generate_series(1, 1000) i;"
        "CREATE TABLE p (k int PRIMARY KEY) PARTITION BY RANGE (k);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); INSERT INTO p VALUES (1), (2);"
        "CREATE VIEW v AS SELECT * FROM t"
    )
    with opened(any_postgres) as session:
        assert session.facts(T).estimated_rows is None
        any_postgres.execute("ANALYZE")
        facts = session.facts(T)
        assert (facts.estimated_rows, facts.key) == (1000, ("b", "a"))
        assert facts.estimated_bytes > 8192
        parted = session.facts(Relation(table="p"))
        assert (parted.estimated_rows, parted.key) == (2, ("k",))
        for unknown in (Relation(table="v"), Relation(query="SELECT 1")):
            assert session.facts(unknown).estimated_rows is None
        with pytest.raises(SourceQueryError, match="'nothing'"):
            session.facts(Relation(table="nothing"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TABLE t", "gone"),
        ("ALTER TABLE t ALTER a TYPE bigint", "'a' was integer and is bigint"),
        ("ALTER TABLE t ALTER c TYPE numeric(12,2)", r"'c' was numeric\(10,2\) and is"),
        ("ALTER TABLE t DROP b", "'b' is gone"),
        ("ALTER TABLE t ADD d int", "'d' is new"),
        ("ALTER TABLE t RENAME b TO z", "'z' is new"),
        ("DROP TABLE t; CREATE TABLE t (b text, a int, c numeric(10,2))", "order"),
    ],
)
def test_a_plan_that_went_stale(any_postgres, change, told):
    any_postgres.execute("CREATE TABLE t (a int, b text, c numeric(10,2))")
    with opened(any_postgres) as session:
        columns = session.columns(T, ColumnRules())
        any_postgres.execute(change)
        with pytest.raises(StalePlanError, match=told) as caught:
            session.read(ReadRequest(T, columns))
        assert caught.value.hint
        assert value_of(session, "SELECT 1") == "1"


def test_a_query_over_a_dropped_table(any_postgres):
    any_postgres.execute("CREATE TABLE t (a int)")
    query = Relation(query="SELECT a FROM t")
    with opened(any_postgres) as session:
        columns = session.columns(query, ColumnRules())
        any_postgres.execute("DROP TABLE t")
        with pytest.raises(SourceQueryError, match="does not exist"):
            session.read(ReadRequest(query, columns))


@pytest.mark.parametrize(
    ("grant", "told"),
    [
        ("GRANT USAGE ON SCHEMA hidden TO PUBLIC", "may not read hidden.t: 'a', 'b'"),
        (
            "GRANT USAGE ON SCHEMA hidden TO PUBLIC; GRANT SELECT (a) ON hidden.t TO PUBLIC",
            "may not read hidden.t: 'b'",
        ),
        ("SELECT 1", "may not use schema 'hidden'"),
    ],
)
def test_the_right_to_read(any_postgres, grant, told):
    any_postgres.execute(
        f"CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int, b int); {grant}", admin=True
    )
    with opened(any_postgres) as session, pytest.raises(SourceAuthError, match=told) as caught:
        session.columns(Relation("hidden", "t"), ColumnRules())
    assert "grant" in caught.value.hint


def test_a_reader_of_columns_reads_them_without_the_lock(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); GRANT SELECT (a) ON t TO PUBLIC",
        admin=True,
    )
    with opened(any_postgres) as session:
        assert values(stream_of(session)) == [(1,)]


def test_a_column_that_is_left_out_need_not_be_readable(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (a int, b text, c int); INSERT INTO t VALUES (1, 'secret', 2);"
        "GRANT SELECT (a, c) ON t TO PUBLIC",
        admin=True,
    )
    rules = ColumnRules(exclude=("b",), renames={"c": "d"})
    with opened(any_postgres) as session:
        columns = session.columns(T, rules)
        assert values(session.read(ReadRequest(T, columns, is_whole=False))) == [(1, 2)]
        with pytest.raises(SourceAuthError, match="may not read t: 'b'") as caught:
            session.columns(T, ColumnRules())
        assert "exclude" in caught.value.hint


def test_masked_values_do_not_cross_the_wire(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (a text, b text, c text, d bytea, e text[]);"
        "INSERT INTO t VALUES ('secret-1', 'secret-2', 'secret-3', 'secret-4', '{secret-5}')"
    )
    rules = ColumnRules(
        masks={"a": Mask.HASH, "b": Mask.REDACT, "c": Mask.NULL, "d": Mask.HASH, "e": Mask.NULL}
    )
    address = urlsplit(any_postgres.url)
    with Proxy(address.hostname, address.port) as proxy:
        proxy.keeps_answers = True
        url = Secret(proxy.rewrite(any_postgres.url))
        with connect(SourceAddress("postgresql", url=url), SessionSettings()) as session:
            columns = session.columns(T, rules)
            ((a, b, c, _, e),) = values(session.read(ReadRequest(T, columns)))
        assert b"***" in proxy.answers
        assert b"secret" not in proxy.answers
    assert (a, b, c, e) == (hashlib.sha256(b"secret-1").hexdigest(), "***", None, None)


def test_a_column_of_a_domain_is_one_in_a_query_too(any_postgres):
    any_postgres.execute(
        "CREATE DOMAIN price AS numeric(10,2); CREATE TABLE t (a price, b price, c price[])"
    )
    queries = ("SELECT * FROM t", "SELECT x.b AS a, a AS b, c FROM t x ORDER BY 1")
    with opened(any_postgres) as session:
        for query in queries:
            columns = session.columns(Relation(query=query), ColumnRules())
            assert [column.native_type for column in columns] == ["price", "price", "price[]"]


def test_near_names(any_postgres):
    any_postgres.execute(
        "CREATE TABLE orders (a int); CREATE SCHEMA shop; CREATE TABLE shop.customers (a int)"
    )
    with opened(any_postgres) as session:
        for asked, told in (
            (Relation(table="order"), "'orders'"),
            (Relation(table="customers"), "'shop.customers'"),
            (Relation("shop", "customer"), "'shop.customers'"),
        ):
            with pytest.raises(SourceQueryError) as caught:
                session.columns(asked, ColumnRules())
            assert f"did you mean {told}" in caught.value.hint


def test_types_of_extensions(postgres):
    try:
        postgres.execute("CREATE EXTENSION hstore; CREATE EXTENSION citext", admin=True)
    except psycopg.Error:
        pytest.skip("this server has no contrib modules")
    postgres.execute(
        "CREATE TABLE t (a hstore, b citext, c citext[], d hstore[]);"
        "INSERT INTO t VALUES ('x=>1, y=>NULL', 'AbC', '{AbC,NULL}', ARRAY['x=>1'::hstore]), "
        "(NULL, NULL, NULL, NULL)"
    )
    with opened(postgres) as session:
        columns = session.columns(T, ColumnRules())
        assert [(c.native_type, str(c.logical), str(c.fidelity)) for c in columns] == [
            ("hstore", "string", "text"),
            ("citext", "string", "exact"),
            ("citext[]", "list<string>", "text"),
            ("hstore[]", "list<string>", "text"),
        ]
        assert values(session.read(ReadRequest(T, columns))) == [
            ('"x"=>"1", "y"=>NULL', "AbC", ["AbC", None], ['"x"=>"1"']),
            (None, None, None, None),
        ]


def test_xml(postgres):
    postgres.execute("CREATE TABLE t (a xml, b xml[])")
    try:
        postgres.execute("""INSERT INTO t VALUES ('<a b="c">é</a>', ARRAY['<x/>'::xml, NULL])""")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server is built without XML")
    with opened(postgres) as session:
        assert values(stream_of(session)) == [('<a b="c">é</a>', ["<x/>", None])]


def test_invalid_text_in_a_database_without_encoding(any_postgres_server):
    name = "bytes_only"
    admin = any_postgres_server.admin_url
    with psycopg.connect(f"{admin}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        )
        with psycopg.connect(f"{admin}/{name}", autocommit=True) as other:
            other.execute(r"CREATE TABLE t (a text); INSERT INTO t VALUES (E'o\\k'), (E'\xff\xfe')")
        address = SourceAddress("postgresql", url=Secret(f"{admin}/{name}"))
        try:
            with connect(address, SessionSettings()) as session:
                with pytest.raises(FormatError, match="column 'a', row 2") as caught:
                    list(stream_of(session))
                assert "binary" in caught.value.hint
                rules = ColumnRules(overrides={"a": binary()})
                columns = session.columns(T, rules)
                assert values(session.read(ReadRequest(T, columns))) == [(b"o\\k",), (b"\xff\xfe",)]
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def binary():
    from rivet.model.types import BINARY

    return BINARY


def test_duplicate_and_unknown_names(any_postgres):
    any_postgres.execute("CREATE TABLE t (a int)")
    with opened(any_postgres) as session:
        with pytest.raises(PlanError, match="share a name: 'a'"):
            session.columns(Relation(query="SELECT a, a FROM t"), ColumnRules())
        with pytest.raises(PlanError, match="'b'"):
            session.columns(T, ColumnRules(overrides={"b": binary()}))
