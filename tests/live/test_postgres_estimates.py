"""Sizes from a real catalog: one statement for all tables, and no lock is waited for."""

from __future__ import annotations

import tempfile

import pytest

from rivet.model.relation import Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.abilities import EstimatesSizes
from rivet.sources.postgres import connect

pytestmark = pytest.mark.live("postgresql")


def opened(database, **settings):
    return connect(
        SourceAddress("postgresql", url=Secret(database.url)), SessionSettings(**settings)
    )


def table(name, schema=None):
    return Relation(schema=schema, table=name)


def test_larger_tables_have_larger_sizes_and_unknown_ones_have_none(any_postgres):
    any_postgres.execute(
        "CREATE TABLE small AS SELECT i FROM generate_series(1, 100) i;"
        "CREATE TABLE large AS SELECT i FROM generate_series(1, 20000) i;"
        "CREATE TABLE empty (i int); CREATE VIEW seen AS SELECT * FROM large;"
        "CREATE TABLE wide AS SELECT i, (SELECT string_agg(md5(i || '.' || j), '')"
        " FROM generate_series(1, 200) j) AS text FROM generate_series(1, 200) i;"
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM small;"
        "CREATE SCHEMA other; CREATE TABLE other.small AS SELECT * FROM large;"
        'CREATE TABLE "Mixed" AS SELECT * FROM large; CREATE TABLE mixed AS SELECT * FROM small;'
    )
    any_postgres.execute("VACUUM ANALYZE")
    any_postgres.execute("CREATE TABLE never (i int)")
    with opened(any_postgres) as session:
        assert isinstance(session, EstimatesSizes)
        small, large, wide, kept = session.estimates(
            [table("small"), table("large"), table("wide"), table("kept")]
        )
        assert 0 < small < large < wide
        assert small == 8192
        assert 50 * small < large <= session.facts(table("large")).estimated_bytes
        assert kept == small
        assert wide > 1_000_000, "what is stored out of line counts"
        names = ["empty", "never", "seen", "nothing", "SMALL", "Mixed", "mixed", "MIXED"]
        sizes = dict(zip(names, session.estimates([table(name) for name in names]), strict=True))
        assert sizes == {
            "empty": 0,
            "never": None,
            "seen": None,
            "nothing": None,
            "SMALL": small,
            "Mixed": large,
            "mixed": small,
            "MIXED": small,
        }
        assert session.estimates(
            [table("small", "other"), Relation(query="SELECT 1"), table("small", "nowhere")]
        ) == (large, None, None)
        assert session.estimates([]) == ()
        assert session.estimates([table("small"), table("small")]) == (small, small)


def test_members_are_added_up(any_postgres):
    any_postgres.execute(
        "CREATE TABLE p (k int) PARTITION BY RANGE (k);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10000) PARTITION BY RANGE (k);"
        "CREATE TABLE p11 PARTITION OF p1 FOR VALUES FROM (0) TO (10000);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10000) TO (90000);"
        "INSERT INTO p SELECT i FROM generate_series(1, 20000) i;"
        "CREATE TABLE base (k int); CREATE TABLE heir () INHERITS (base);"
        "INSERT INTO heir SELECT i FROM generate_series(1, 20000) i"
    )
    any_postgres.execute("VACUUM ANALYZE")
    with opened(any_postgres) as session:
        whole, first, second, base, heir = session.estimates(
            [table(name) for name in ("p", "p1", "p2", "base", "heir")]
        )
        assert whole == first + second
        assert base == heir > 0
        any_postgres.execute("CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (90000) TO (99999)")
        assert session.estimates([table("p"), table("p1")]) == (None, first)


def test_forty_tables_are_one_statement(any_postgres):
    any_postgres.execute("; ".join(f"CREATE TABLE t{i} (i int)" for i in range(40)))
    any_postgres.execute("ANALYZE")
    with opened(any_postgres) as session, tempfile.TemporaryFile() as trace:
        session._connection.pgconn.trace(trace.fileno())
        sizes = session.estimates([table(f"t{i}") for i in range(40)])
        session._connection.pgconn.untrace()
        trace.seek(0)
        lines = trace.read().decode().splitlines()
    assert sizes == (0,) * 40
    words = ("\tF\t", "Query", "Execute")
    sent = [line for line in lines if words[0] in line and any(word in line for word in words[1:])]
    assert len(sent) == 3, f"begin, the question, roll back: {sent}"


def test_no_lock_is_waited_for(any_postgres):
    any_postgres.execute(
        "CREATE TABLE t (k int) PARTITION BY RANGE (k);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); INSERT INTO t VALUES (1)"
    )
    any_postgres.execute("ANALYZE")
    with any_postgres.connect() as other, opened(any_postgres, lock_timeout_s=0.2) as session:
        other.autocommit = False
        other.execute("LOCK TABLE t, t1 IN ACCESS EXCLUSIVE MODE")
        assert session.estimates([table("t"), table("t1")]) == (8192, 8192)
        other.rollback()


def test_names_are_values(any_postgres):
    with opened(any_postgres) as session:
        hostile = ["'); DROP TABLE t; --", "%s", "{a,b}", 'x"y', "\\", "NULL"]
        assert session.estimates([table(name, name) for name in hostile]) == (None,) * len(hostile)
