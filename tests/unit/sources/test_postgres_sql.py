"""Where a query ends, and identifiers in quotes."""

from __future__ import annotations

import pytest

from rivet.errors import PlanError, SourceQueryError
from rivet.sources.postgres.keys import ZONED
from rivet.sources.postgres.read import DIALECT
from rivet.sources.sql import single_statement, subquery


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1 ;\n", "SELECT 1"),
        ("SELECT 1;; ; -- x; y", "SELECT 1"),
        ("SELECT ';'", "SELECT ';'"),
        ("SELECT 'it''s;' ;", "SELECT 'it''s;'"),
        ("SELECT E'\\';' ;", "SELECT E'\\';'"),
        ('SELECT ";" FROM t', 'SELECT ";" FROM t'),
        ("SELECT $$;$$, $a$ $$ ; $a$;", "SELECT $$;$$, $a$ $$ ; $a$"),
        ("SELECT 1 /* ; /* ; */ ; */ ; /* end", "SELECT 1 /* ; /* ; */ ; */"),
        ("SELECT a$b FROM t WHERE c = '%s' -- end", "SELECT a$b FROM t WHERE c = '%s' -- end"),
    ],
)
def test_a_single_statement(query, expected):
    assert single_statement(query, DIALECT) == expected


@pytest.mark.parametrize("query", ["", " ; ", "-- nothing", "/* nothing */"])
def test_no_statement(query):
    with pytest.raises(SourceQueryError, match="empty"):
        single_statement(query, DIALECT)


@pytest.mark.parametrize("query", ["SELECT 1; SELECT 2", "SELECT $$a$$; DROP TABLE t", "x;';"])
def test_more_than_one_statement(query):
    with pytest.raises(SourceQueryError, match="more than one"):
        single_statement(query, DIALECT)


def test_a_closing_comment_does_not_swallow_what_follows():
    assert subquery("SELECT 1 -- end").splitlines()[-1] == ") AS _rivet"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", '"a"'), ('we"ird', '"we""ird"'), ("%s", '"%s"'), ("a.b", '"a.b"'), ("😀", '"😀"')],
)
def test_identifiers(name, expected):
    assert DIALECT.identifier(name) == expected


@pytest.mark.parametrize("name", ["", "a\x00b"])
def test_names_no_engine_has(name):
    with pytest.raises(PlanError):
        DIALECT.identifier(name)


@pytest.mark.parametrize(
    ("text", "is_zoned"),
    [
        ("2026-11-27", False),
        ("2026-11-27 10:00:00.5", False),
        ("0044-03-15 BC", False),
        ("2026-11-27+00", True),
        ("2026-11-27-08", True),
        ("2026-11-27 10:00-03:30", True),
        ("2026-11-27T10:00:00Z", True),
        ("2026-11-27 10:00 Europe/Paris", True),
        ("-infinity", True),
    ],
)
def test_the_day_of_a_date_is_no_offset(text, is_zoned):
    assert bool(ZONED.search(text)) == is_zoned
