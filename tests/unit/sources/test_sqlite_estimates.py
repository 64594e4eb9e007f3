"""Sizes of SQLite tables, without a scan."""

import contextlib
import sqlite3

import pytest

from rivet.errors import SourceUnavailableError
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.sources import load_engine
from rivet.sources.abilities import EstimatesSizes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def writer(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def estimates(path, *tables, **settings):
    address = SourceAddress("sqlite", database=str(path))
    relations = [
        one if isinstance(one, Relation) else Relation(schema=None, table=one) for one in tables
    ]
    with load_engine("sqlite").connect(address, SessionSettings(**settings)) as session:
        assert isinstance(session, EstimatesSizes)
        return session.estimates(relations)


def test_rows_come_from_analyze_else_from_the_greatest_rowid(path, writer):
    writer.executescript(
        "CREATE TABLE counted (a); CREATE INDEX i ON counted (a); CREATE TABLE empty (a);"
        "INSERT INTO counted VALUES (1), (2), (3); ANALYZE; INSERT INTO counted VALUES (4);"
        "CREATE TABLE numbered (id INTEGER PRIMARY KEY); INSERT INTO numbered VALUES (7), (90);"
        "CREATE TABLE below (id INTEGER PRIMARY KEY); INSERT INTO below VALUES (-7);"
    )
    assert estimates(path, "counted", "numbered", "empty", "below", "NUMBERED") == (3, 90, 0, 0, 90)


def test_what_is_not_known_is_none(path, writer):
    writer.executescript(
        "CREATE TABLE t (a); CREATE VIEW v AS SELECT * FROM t; INSERT INTO t VALUES (1);"
        "CREATE TABLE keyed (k TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO keyed VALUES ('a');"
        "CREATE TABLE hidden (ROWID, _rowid_, oid); INSERT INTO hidden VALUES (5, 6, 7);"
        "CREATE TABLE half (rowid, a); INSERT INTO half VALUES (99, 1);"
        "CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('a');"
    )
    others = (Relation(query="SELECT 1"), Relation(schema="temp", table="t"))
    unknown = ("v", "keyed", "hidden", "words", "nothing", 'a"b', "sqlite_master", *others)
    assert estimates(path, *unknown) == (None,) * len(unknown)
    assert estimates(path, "half", Relation(schema="main", table="t")) == (1, 1)
    assert estimates(path) == ()


def test_the_greatest_rowid_is_sought_not_scanned(path, writer):
    writer.executescript(
        "CREATE TABLE t (a); WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r"
        " WHERE i < 20000) INSERT INTO t SELECT i FROM r"
    )
    address = SourceAddress("sqlite", database=str(path))
    with load_engine("sqlite").connect(address, SessionSettings()) as session:
        steps = []
        session.connection.set_progress_handler(lambda: steps.append(1) and None, 100)
        assert session.estimates([Relation(table="t")]) == (20000,)
    assert len(steps) < 10


def test_a_locked_file_is_an_error_worth_a_retry(path, writer):
    writer.execute("CREATE TABLE t (a)")
    address = SourceAddress("sqlite", database=str(path))
    settings = SessionSettings(lock_timeout_s=0.05)
    with load_engine("sqlite").connect(address, settings) as session:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceUnavailableError):
            session.estimates([Relation(table="t")])
