"""Domains and citext are keys as the types below them are, in their own order."""

from __future__ import annotations

import itertools

import pytest

from rivet.model.columns import ColumnRules
from rivet.model.relation import KeyProbe, ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.plan.ranges import between
from rivet.redact import Secret
from rivet.sources.postgres import connect

pytestmark = pytest.mark.live("postgresql")
WORDS = "(ARRAY['a','B','c','D'])[1 + i % 4] || CASE WHEN i % 2 = 0 THEN 'x' ELSE 'X' END || i"


def opened(database, options=""):
    url = f"{database.url}{options}"
    return connect(SourceAddress("postgresql", url=Secret(url)), SessionSettings())


def check_spans(session, relation):
    """Walk the key; every row is in one span, and slices along it give each row once."""
    bounds: list[tuple[str, ...]] = []
    last: tuple[str, ...] | None = None
    while True:
        rest = Span(SpanKind.KEY, ("id",), lower=last)
        found = session.probe_keys(KeyProbe(relation, ("id",), ProbeKind.STEP, (rest,), 37))
        if not found:
            break
        last = found[0]
        bounds.append(last)
    assert len(bounds) == 400 // 37
    columns = session.columns(relation, ColumnRules())
    spans = between(("id",), bounds)
    given = []
    for span in (*spans, Span(SpanKind.KEY, ("id",))):
        request = ReadRequest(relation, columns, spans=(span,), slice_s=0.5, slice_bytes=4000)
        given.append([n for batch in session.read(request) for n in batch.column("n").to_pylist()])
    assert sorted(itertools.chain(*given[:-1])) == list(range(1, 401))
    assert sorted(given[-1]) == list(range(1, 401))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int8", "i - 200"),
        ("text", WORDS),
        ("numeric(12,2)", "i / 8.0"),
        ("uuid", "md5(i::text)::uuid"),
    ],
)
def test_a_domain_is_a_key(any_postgres, kind, value):
    any_postgres.execute(
        f'CREATE DOMAIN inner_d AS {kind}; CREATE DOMAIN "Outer" AS inner_d;'
        f'CREATE TABLE t (id "Outer" PRIMARY KEY, n int);'
        f"INSERT INTO t SELECT ({value})::{kind}, i FROM generate_series(1, 400) i; ANALYZE"
    )
    relation = Relation(table="t")
    with opened(any_postgres) as session:
        (key,) = session.facts(relation).keys
        assert (key.columns, key.is_integer) == (("id",), kind == "int8")
        check_spans(session, relation)


@pytest.mark.parametrize("domain", [False, True])
def test_citext_is_a_key(postgres, domain):
    if not postgres.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
        pytest.skip("this server comes without citext")
    postgres.execute("CREATE EXTENSION citext", admin=True)
    kind = "citext"
    if domain:
        postgres.execute("CREATE DOMAIN word AS citext")
        kind = "word"
    postgres.execute(
        f"CREATE TABLE t (id {kind} PRIMARY KEY, n int);"
        f"INSERT INTO t SELECT {WORDS}, i FROM generate_series(1, 400) i; ANALYZE"
    )
    relation = Relation(table="t")
    with opened(postgres) as session:
        assert [key.columns for key in session.facts(relation).keys] == [("id",)]
        check_spans(session, relation)
    # Where its operators are out of reach it would be compared as text, so it is no key.
    postgres.execute("CREATE SCHEMA away; ALTER EXTENSION citext SET SCHEMA away", admin=True)
    with opened(postgres) as session:
        assert not session.facts(relation).keys


def test_each_column_of_a_key_has_the_operators_of_its_own_type(postgres):
    """Whatever schema stands first in the search_path: it may hold others of the same names."""
    if not postgres.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
        pytest.skip("this server comes without citext")
    postgres.execute("CREATE EXTENSION citext; CREATE SCHEMA shadows", admin=True)
    for kind in ("citext", "numeric"):
        postgres.execute(
            f"CREATE FUNCTION shadows.never({kind}, {kind}) RETURNS bool LANGUAGE sql AS"
            " 'SELECT false'",
            admin=True,
        )
        for sign in (">", ">=", "<", "<=", "="):
            postgres.execute(
                f"CREATE OPERATOR shadows.{sign} (LEFTARG = {kind}, RIGHTARG = {kind},"
                " PROCEDURE = shadows.never)",
                admin=True,
            )
    postgres.execute(
        "CREATE TABLE t (w citext, n numeric(9,0), PRIMARY KEY (w, n));"
        "INSERT INTO t SELECT (ARRAY['a', 'A', 'b', 'C'])[1 + i % 4], i"
        " FROM generate_series(1, 80) i"
    )
    postgres.execute("GRANT USAGE ON SCHEMA shadows TO PUBLIC", admin=True)
    path = "shadows,pg_catalog,public"
    postgres.execute(f"ALTER ROLE rivet IN DATABASE {postgres.name} SET search_path = {path}")
    relation = Relation(schema="public", table="t")
    expected = postgres.execute("SELECT n FROM public.t ORDER BY w, n")
    with opened(postgres) as session:
        assert [key.columns for key in session.facts(relation).keys] == [("w", "n")]
        columns = session.columns(relation, ColumnRules())
        # A's and a's are equal, so that the number decides.
        cuts = [("A", "40"), ("B", "6"), ("b", "7")]
        given = []
        for span in between(("w", "n"), cuts):
            batches = session.read(ReadRequest(relation, columns, spans=(span,)))
            given.append(sorted(n for one in batches for n in one.column("n").to_pylist()))
    assert [len(part) for part in given] == [20, 22, 0, 38]
    assert sorted(itertools.chain(*given)) == sorted(n for (n,) in expected)


def test_tables_that_differ_in_case_have_their_own_keys(any_postgres):
    any_postgres.execute(
        'CREATE TABLE t (a int PRIMARY KEY, b int); CREATE TABLE "T" (a int, b int PRIMARY KEY);'
        "INSERT INTO t SELECT i, i FROM generate_series(1, 9) i; ANALYZE"
    )
    with opened(any_postgres) as session:
        for name, column in (("t", "a"), ("T", "b")):
            facts = session.facts(Relation(table=name))
            assert [key.columns for key in facts.keys] == [(column,)]
            assert facts.key == (column,)
            assert facts.indexed == (column,)
