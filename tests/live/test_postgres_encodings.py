"""Databases in other encodings than UTF-8: right values, or a refusal that says the way out."""

from __future__ import annotations

import dataclasses

import psycopg
import pytest

from rivet.errors import FormatError, SourceQueryError
from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.types import BINARY
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support import clusters

pytestmark = pytest.mark.live("postgresql")
T = Relation(table="t")
OWNER = clusters.ROLE


@pytest.fixture
def encoded(any_postgres):
    """Return what makes a database of an encoding beside the test's own."""
    made = []

    def make(encoding):
        name = f"{any_postgres.name}_{encoding.lower()}"
        any_postgres.execute(
            f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0 ENCODING '{encoding}'"
            " LC_COLLATE 'C' LC_CTYPE 'C'",
            admin=True,
        )
        made.append(name)
        url, admin = (
            one.replace(f"/{any_postgres.name}", f"/{name}")
            for one in (any_postgres.url, any_postgres.admin_url)
        )
        return dataclasses.replace(any_postgres, url=url, admin_url=admin, name=name)

    yield make
    for name in made:
        any_postgres.execute(f"DROP DATABASE {name} WITH (FORCE)", admin=True)


def rows(database, rules=None, relation=T, **request):
    address = SourceAddress("postgresql", url=Secret(database.url))
    with connect(address, SessionSettings()) as session:
        columns = session.columns(relation, rules or ColumnRules())
        batches = list(
            session.read(ReadRequest(relation, columns, is_whole=rules is None, **request))
        )
    return [row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)]


def filled(database, *values):
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SET client_encoding = 'SQL_ASCII'")
        connection.execute("CREATE TABLE t (id int, a text)")
        for number, value in enumerate(values):
            data = b"INSERT INTO t VALUES (%d, E'%s')" % (number, value)
            connection.pgconn.exec_(data)
    return database


def test_latin1_is_converted(encoded):
    database = filled(encoded("LATIN1"), b"caf\\351", b"\\200")
    assert rows(database) == [(0, "café"), (1, "\x80")]
    assert rows(database, ColumnRules(overrides={"a": BINARY}))[0] == (0, b"caf\xe9")


def test_an_encoding_that_the_server_cannot_convert_is_refused(encoded):
    database = encoded("MULE_INTERNAL")
    address = SourceAddress("postgresql", url=Secret(database.url))
    with pytest.raises(SourceQueryError, match="conversion between UTF8 and MULE") as caught:
        connect(address, SessionSettings())
    assert "one of UTF8" in caught.value.hint


def refused(database, rules=None, **request):
    with pytest.raises(FormatError) as caught:
        rows(database, rules, **request)
    assert "add it to `columns:` with the type `binary`" in caught.value.hint
    return caught.value


UNMAPPED = {"WIN1252": b"\\201", "EUC_JP": b"\\242\\257", "EUC_CN": b"\\252\\241"}
# Other texts before and behind the one that is refused: a label, an array, a longer one.
WIDER = (
    "CREATE TYPE word AS ENUM ('x'); ALTER TABLE t ADD e word DEFAULT 'x',"
    " ADD b varchar(9) DEFAULT 'b', ADD l text[] DEFAULT '{l}'"
)


@pytest.mark.parametrize("fetch_rows", [0, 2])
def test_bytes_of_no_encoding_are_refused_by_column_and_row(encoded, fetch_rows):
    database = filled(encoded("SQL_ASCII"), b"caf\\303\\251", b"\\351t", b"caf\\351")
    database.execute(WIDER)
    read = {"fetch_rows": fetch_rows, "relation": Relation(query="TABLE t ORDER BY id")}
    error = refused(database, **read)
    assert error.error_code == "RIVET_FORMAT_ENCODING"
    assert (error.context["column"], error.context["row"]) == ("a", "2")
    own = ColumnRules(overrides={"a": BINARY}, include=frozenset({"id", "a"}))
    expected = [(0, "café".encode()), (1, b"\xe9t"), (2, b"caf\xe9")]
    assert rows(database, own, **read) == expected
    database.execute("UPDATE t SET a = 'fine' WHERE id > 0; ALTER TABLE t DROP e, DROP b, DROP l")
    assert rows(database, **read) == [(0, "café"), (1, "fine"), (2, "fine")]


@pytest.mark.parametrize("encoding", UNMAPPED)
def test_a_character_that_unicode_does_not_have_is_refused_by_column_and_row(encoded, encoding):
    value = UNMAPPED[encoding]
    database = filled(encoded(encoding), b"cafe", value, b"cafe")
    for more in ("SELECT 1", WIDER):
        database.execute(more)
        for relation in (T, Relation(query="TABLE t ORDER BY id")):
            error = refused(database, relation=relation)
            assert error.error_code == "RIVET_FORMAT_UNMAPPED"
            assert (error.context["column"], error.context["row"]) == ("a", "2")
    error = refused(database, relation=Relation(query="TABLE t"), fetch_rows=2)
    assert "column 'a', one of the rows 1 to 2" in error.message
    only = ColumnRules(overrides={"a": BINARY}, include=frozenset({"a"}))
    assert rows(database, only)[1] == (value.decode("unicode_escape").encode("latin-1"),)
