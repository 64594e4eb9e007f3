"""Whose a watermark is, on servers: the server's and the database's own word, not the address."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import duckdb
import psycopg
import pytest

from rivet.model.owner import Owner
from support.engines import EngineUnderTest
from support.follower import Follower
from support.stored import change_owner

STREAM = "RIVET_STATE_CURSOR_STREAM_MISMATCH"
CHUNKED = {
    "mode": "chunked",
    "chunk_column": "id",
    "chunk_count": 4,
    "consistency": "chunk",
    "tuning": {"max_retries": 0},
}


def _follower(name, database, folder, *, fill=range(1, 11)):
    source = {"type": name, "url": database.url, "tls": {"mode": "disable"}}
    events = Follower(EngineUnderTest(name, source, database.execute), folder)
    events.add(*fill)
    return events


def _move(events, database, fill=range(5, 16)):
    """Point the export at the same table of another database."""
    folder = events.folder
    other = _follower(events.engine.name, database, folder, fill=fill)
    other.keys = events.keys
    return other


def _owner(folder):
    with closing(sqlite3.connect(folder / ".rivet" / "state.db")) as state:
        ((text,),) = state.execute("SELECT owner_json FROM watermarks").fetchall()
    return Owner.from_json(text)


def _edit(folder, **source):
    with closing(sqlite3.connect(folder / ".rivet" / "state.db")) as state:
        ((text,),) = state.execute("SELECT owner_json FROM watermarks").fetchall()
    body = json.loads(text)
    body["source"] |= source
    change_owner(folder, json.dumps(body))


def _refused(events, *words, code=STREAM):
    report = events.run()
    assert report.failure is not None
    assert (report.failure.code, report.failure.exit_code) == (code, 5), report.failure
    for word in words:
        assert word in report.failure.message
    assert report.rows == 0
    assert "rivet:" not in report.failure.message  # nor is any address told
    assert "127.0.0.1" not in report.failure.message


@pytest.fixture(params=["postgresql", "mysql"])
def two(request):
    """Two databases of one server."""
    server = request.getfixturevalue(
        {"postgresql": "any_postgres_server", "mysql": "mariadb_server"}[request.param]
    )
    with server.fresh_database() as one, server.fresh_database() as other:
        yield request.param, one, other


def test_another_database_of_the_same_server(rivet, two, tmp_path):
    name, one, other = two
    events = _follower(name, one, tmp_path)
    assert events.run().is_success
    events = _move(events, other)
    _refused(events, "database", one.name, other.name)
    rivet("state", "accept", "-c", events.config, "-e", "events").expect(0)
    assert events.run().is_success
    assert events.rows() == [11, 12, 13, 14, 15]


def test_a_query_finds_its_tables_in_a_database(two, tmp_path):
    name, one, other = two
    events = _follower(name, one, tmp_path)
    events.keys |= {"table": None, "query": "SELECT id, ts FROM events"}
    assert events.run().is_success
    _refused(_move(events, other), "database", one.name, other.name)


@pytest.mark.parametrize("name", ["postgresql", "mysql"])
def test_another_server_with_a_database_of_the_same_name(request, tmp_path, name):
    fixtures = {
        "postgresql": ("any_postgres_server", "tls_postgres"),
        "mysql": ("mariadb_server", "tls_mariadb"),
    }[name]
    server, other = map(request.getfixturevalue, fixtures)
    with server.fresh_database() as one:
        events = _follower(name, one, tmp_path)
        assert events.run().is_success
        told = _owner(tmp_path).source
        assert told.servers
        _edit(tmp_path, database=other.name, database_key=None)
        if name == "mysql":
            _edit(tmp_path, relation=f"{other.name}.events")
        _refused(_move(events, other), "server", told.servers[0])


@pytest.mark.parametrize("name", ["sqlite", "duckdb"])
def test_a_copy_of_a_file_is_another_database(rivet, tmp_path, name):
    def execute(path):
        def run(sql):
            if name == "duckdb":
                with duckdb.connect(str(path)) as connection:
                    return connection.execute(sql).fetchall()
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(sql)
                connection.commit()
            return []

        return run

    source = {"type": name, "url": f"{name}:///one.db"}
    events = Follower(EngineUnderTest(name, source, execute(tmp_path / "one.db")), tmp_path)
    events.add(*range(1, 11))
    assert events.run().is_success
    (tmp_path / "link.db").symlink_to("one.db")
    events.source = {key: value.replace("one", "link") for key, value in source.items()}
    assert events.run().status == "skipped"  # another name of the same file
    (tmp_path / "two.db").write_bytes((tmp_path / "one.db").read_bytes())
    events.source = {key: value.replace("one", "two") for key, value in source.items()}
    _refused(events, "database", "one.db", "two.db")
    rivet("state", "accept", "-c", events.config, "-e", "events").expect(0)
    events.execute = execute(tmp_path / "two.db")
    events.add(11)
    assert events.run().is_success
    assert events.rows() == [11]


def test_an_address_and_a_user_may_change(any_postgres, tmp_path):
    events = _follower("postgresql", any_postgres, tmp_path)
    assert events.run().is_success
    events.source["url"] = any_postgres.admin_url.replace("127.0.0.1", "localhost")
    events.add(11)
    assert events.run().failure is None
    assert events.rows() == [11]


def test_a_database_may_have_a_new_name(any_postgres, tmp_path):
    events = _follower("postgresql", any_postgres, tmp_path)
    assert events.run().is_success
    events.add(11)
    name = any_postgres.name
    with psycopg.connect(any_postgres.admin_url, dbname="postgres", autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} RENAME TO {name}_now")
        try:
            events.source["url"] = any_postgres.url.replace(name, f"{name}_now")
            assert events.run().failure is None
        finally:
            server.execute(f"ALTER DATABASE {name}_now RENAME TO {name}")
    assert events.rows() == [11]


def test_a_query_that_is_looked_up_elsewhere(any_postgres, tmp_path):
    events = _follower("postgresql", any_postgres, tmp_path)
    events.keys |= {"table": None, "query": "SELECT id FROM events"}
    assert events.run().is_success
    any_postgres.execute(
        "CREATE SCHEMA aside; CREATE TABLE aside.events (id bigint);"
        f"ALTER DATABASE {any_postgres.name} SET search_path = aside, public"
    )
    _refused(events, "table or query", "in public", "in aside, public")


def test_a_bare_table_that_is_found_elsewhere(any_postgres, tmp_path):
    events = _follower("postgresql", any_postgres, tmp_path)
    assert events.run().is_success
    any_postgres.execute(
        "CREATE SCHEMA aside; CREATE TABLE aside.events (id bigint);"
        f"ALTER DATABASE {any_postgres.name} SET search_path = aside, public"
    )
    _refused(events, "public.events", "aside.events")


def test_a_database_that_was_made_anew_under_its_name(any_postgres_server, tmp_path):
    with any_postgres_server.fresh_database() as one:
        events = _follower("postgresql", one, tmp_path)
        assert events.run().is_success
        _edit(tmp_path, database_key="1")
        _refused(events, f"{one.name} (1)")
        _edit(tmp_path, database_key=None)
        assert events.run().failure is None


def test_a_server_that_may_not_be_asked_is_not_known(postgres, tmp_path):
    events = _follower("postgresql", postgres, tmp_path)
    assert events.run().is_success
    known = _owner(tmp_path).source.servers
    assert len(known) == 1
    postgres.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC", admin=True)
    events.add(11)
    report = events.run()
    assert report.failure is None
    assert any("pg_control_system" in text for text in report.warnings)
    assert _owner(tmp_path).source.servers == known  # what was known stays known
    _edit(tmp_path, database="another")
    _refused(events, "database", "another")


def test_a_standby_is_its_primary(standby_pair, tmp_path):
    events = _follower("postgresql", standby_pair.primary, tmp_path)
    assert events.run().is_success
    events.add(11)
    standby_pair.catch_up()
    events.source["url"] = standby_pair.standby.url
    report = events.run()
    assert report.failure is None, report.failure
    assert events.rows() == [11]


def test_a_table_of_another_schema_does_not_depend_on_the_default_one(mariadb_server, tmp_path):
    with mariadb_server.fresh_database() as one, mariadb_server.fresh_database() as other:
        events = _follower("mysql", one, tmp_path)
        events.keys["table"] = f"{one.name}.events"
        assert events.run().is_success
        events.source["url"] = other.url
        events.add(11)
        assert events.run().failure is None
        assert events.rows() == [11]


def test_chunks_of_another_database_are_not_mixed(two, tmp_path, monkeypatch):
    name, one, other = two
    events = _follower(name, one, tmp_path, fill=range(1, 101))
    events.keys = CHUNKED
    monkeypatch.setenv("RIVET_FAULT", "error@chunk_started:2")
    assert events.run().failure
    monkeypatch.delenv("RIVET_FAULT")
    there = _move(events, other, fill=range(1001, 1101))
    report = there.run(resume=True)
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_STATE_CHUNKS_STREAM_MISMATCH", 5)
    assert one.name in failure.message
    assert other.name in failure.message
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert events.run(resume=True).failure is None
    assert events.rows() == list(range(1, 101))


def test_a_promoted_replica_takes_the_place_of_its_source(mysql9, tmp_path):
    events = _follower("mysql", mysql9, tmp_path)
    assert events.run().is_success
    told = _owner(tmp_path).source
    assert told.history
    assert told.servers[0] in told.history
    # As if another server had been read, all of whose transactions this one has, or not.
    _edit(tmp_path, servers=["0a0b0c0d-0000-11ee-8000-0242ac120002"])
    events.add(11)
    assert events.run().failure is None
    assert events.rows() == [11]
    assert _owner(tmp_path).source.servers == told.servers
    lost = "0a0b0c0d-0000-11ee-8000-0242ac120002:1-7"
    _edit(tmp_path, servers=[lost.partition(":")[0]], history=f"{told.history},{lost}")
    _refused(events, "server", lost.partition(":")[0])
