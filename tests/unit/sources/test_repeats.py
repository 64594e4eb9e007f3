"""What in a query makes its rows differ from one evaluation to the next."""

from __future__ import annotations

import pytest

from rivet.sources.duckdb.types import DIALECT as DUCKDB
from rivet.sources.mysql.overrides import DIALECT as MYSQL
from rivet.sources.postgres.read import DIALECT as POSTGRES
from rivet.sources.repeats import reading_of
from rivet.sources.sqlite.catalog import DIALECT as SQLITE

ALL = (POSTGRES, MYSQL, SQLITE, DUCKDB)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("SELECT * FROM t LIMIT 5", "LIMIT"),
        ("SELECT * FROM (SELECT * FROM t ORDER BY a limit\n5) s", "LIMIT"),
        ("SELECT * FROM t LIMIT(5)", "LIMIT"),
        ("SELECT * FROM t ORDER BY a OFFSET 5", "OFFSET"),
        ("SELECT * FROM t ORDER BY a FETCH FIRST 5 ROWS ONLY", "FETCH"),
        ("SELECT * FROM t FETCH NEXT ROW ONLY", "FETCH"),
        ("SELECT row_number() OVER () rn FROM t", "OVER"),
        ("SELECT sum(a) FILTER (WHERE a > 1) OVER w FROM t WINDOW w AS (ORDER BY b)", "OVER"),
        ("SELECT/**/row_number()/* x */over/**/(/**/) FROM t", "OVER"),
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE"),
        ("SELECT * FROM t USING SAMPLE 10", "SAMPLE"),
        ("SELECT DISTINCT ON (a) a, b FROM t", "DISTINCT ON"),
        ("SELECT random() r, a FROM t", "random"),
        ("SELECT RAND ( ) r, a FROM t", "rand"),
        ("SELECT pg_catalog.random() r FROM t", "random"),
        ("SELECT nextval('s') FROM t", "nextval"),
        ("SELECT a, array_agg(b) FROM t", "array_agg"),
        ("SELECT a, group_concat(b) FROM t", "group_concat"),
        ("SELECT now() FROM t", "time"),
        ("SELECT CURRENT_TIMESTAMP FROM t", "time"),
        ("SELECT current_date - d FROM t", "time"),
    ],
)
def test_on_every_engine(query, word):
    for dialect in ALL:
        doubt = reading_of(query, dialect).doubt
        assert doubt is not None
        assert word.lower() in doubt.why.lower()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a, 'LIMIT 5', 'random()' FROM t -- LIMIT 5",
        "SELECT a, /* OVER () */ b FROM t /* TABLESAMPLE */",
        "SELECT t.limit_, t.over, t.offset, t.fetch, t.current_date FROM t",
        "SELECT a, 'it''s now()' FROM t WHERE b = 'LIMIT'",
        "SELECT a FROM t UNION SELECT b FROM s EXCEPT SELECT c FROM u",
        "SELECT DISTINCT a, b FROM t JOIN s ON t.a = s.a",
        "SELECT coalesce(a, lower(b)), CASE WHEN a > 1 THEN 2 END FROM t ORDER BY a",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9) TABLE c",
        "SELECT a, count(*), sum(b) FROM t",
        "SELECT offset, a FROM t",
    ],
)
def test_no_doubt(query):
    for dialect in ALL:
        assert reading_of(query, dialect).doubt is None


@pytest.mark.parametrize(
    ("query", "dialect", "is_doubted"),
    [
        ("SELECT @n := @n + 1 AS n FROM t", MYSQL, True),
        ("SELECT @`n`, a FROM t", MYSQL, True),
        ("SELECT @@session.time_zone, a FROM t", MYSQL, False),
        ("SELECT a FROM t WHERE b @> c AND @ d = 1", POSTGRES, False),
        ("SELECT a FROM t /*!50000 LIMIT 5 */", MYSQL, True),
        ("SELECT a FROM t /*M!100000 LIMIT 5 */", MYSQL, True),
        ("SELECT a FROM t /*! LIMIT 5 */", POSTGRES, False),
        ("SELECT a FROM t # LIMIT 5", MYSQL, False),
        ("SELECT a --LIMIT 5\nFROM t", POSTGRES, False),
        ("SELECT a FROM t WHERE b = 'x\\' OR ' LIMIT 5", MYSQL, True),
        ("SELECT a, b FROM t GROUP BY a", MYSQL, True),
        ("SELECT a, b FROM t GROUP BY a", SQLITE, True),
        ("SELECT a, b FROM t GROUP BY a, b", POSTGRES, False),
        ("SELECT [limit], [a] FROM [t]", SQLITE, False),
        ("SELECT $q$ LIMIT 5 $q$, a FROM t", POSTGRES, False),
        ("SELECT a FROM t WHERE b > 'now'::timestamptz", POSTGRES, True),
        ("SELECT a FROM t WHERE b > E'Today'::date", POSTGRES, True),
        ("SELECT date('now'), a FROM t", SQLITE, True),
        ("SELECT strftime('%Y'), a FROM t", SQLITE, True),
        ("SELECT strftime('%Y', b), date(c), a FROM t", SQLITE, False),
        ("SELECT unix_timestamp(), a FROM t", MYSQL, True),
        ("SELECT unix_timestamp(b), a FROM t", MYSQL, False),
        ('SELECT "random"() FROM t', POSTGRES, True),
        ("SELECT a FROM t POSITIONAL JOIN s", DUCKDB, True),
        ("SELECT /* /* nested */ LIMIT 5 */ a FROM t", POSTGRES, False),
    ],
)
def test_by_the_rules_of_the_dialect(query, dialect, is_doubted):
    assert (reading_of(query, dialect).doubt is not None) == is_doubted


def test_time_is_the_least_doubt():
    assert reading_of("SELECT now(), a FROM t", POSTGRES).doubt.is_clock
    assert not reading_of("SELECT now(), a FROM t LIMIT 5", POSTGRES).doubt.is_clock


def test_what_is_called_and_named():
    reading = reading_of(
        'SELECT s.F(a), "My Fn"(b), t.c FROM "My View" v JOIN S.W w ON 1 = 1', POSTGRES
    )
    assert {"f", "My Fn", "my fn"} <= reading.calls
    assert {"My View", "w", "S", "s"} <= reading.names
    assert "c" not in reading.calls
