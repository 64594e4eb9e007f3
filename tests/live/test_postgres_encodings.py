"""Databases in other encodings than UTF-8: right values, or a refusal that says the way out."""

from __future__ import annotations

import dataclasses

import psycopg
import pytest

from rivet.errors import RivetError
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


def rows(database, rules=None):
    address = SourceAddress("postgresql", url=Secret(database.url))
    with connect(address, SessionSettings()) as session:
        columns = session.columns(T, rules or ColumnRules())
        batches = list(session.read(ReadRequest(T, columns)))
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


def test_bytes_of_no_encoding_are_refused_with_the_way_out(encoded):
    database = filled(encoded("SQL_ASCII"), b"caf\\303\\251", b"caf\\351")
    with pytest.raises(RivetError, match="invalid byte sequence") as caught:
        rows(database)
    assert "`columns: {<name>: binary}`" in caught.value.hint
    expected = [(0, "café".encode()), (1, b"caf\xe9")]
    assert rows(database, ColumnRules(overrides={"a": BINARY})) == expected


def test_a_character_that_unicode_does_not_have_is_refused_with_the_way_out(encoded):
    database = filled(encoded("WIN1252"), b"caf\\351", b"\\201")
    with pytest.raises(RivetError, match="no equivalent") as caught:
        rows(database)
    assert "`columns: {<name>: binary}`" in caught.value.hint
    expected = [(0, b"caf\xe9"), (1, b"\x81")]
    assert rows(database, ColumnRules(overrides={"a": BINARY})) == expected
