"""NOT NULL is believed where the server has checked it; rows with NULL are in a chunk elsewhere."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import duckdb
import pytest
from psycopg.conninfo import conninfo_to_dict
from ruamel.yaml import YAML

import rivet
from rivet.errors import PlanError

INHERITED = """
    CREATE TABLE {0} (id bigint {1}, at timestamptz {1}, v text, UNIQUE (id));
    CREATE TABLE {0}_child () INHERITS ({0});
    INSERT INTO {0}_child SELECT g, now() - interval '1 day', 'c' FROM generate_series(1, 300) g;
    {2};
    INSERT INTO {0}_child VALUES (NULL, NULL, 'lost'), (NULL, NULL, 'lost too');
    INSERT INTO {0} SELECT g, now() - interval '1 day', 'p' FROM generate_series(301, 600) g;
    ANALYZE"""
# The server at the other end is this one: its table holds what the foreign table says it has not.
FOREIGN = """
    CREATE EXTENSION IF NOT EXISTS postgres_fdw;
    CREATE SERVER IF NOT EXISTS other FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (port '{port}', dbname '{db}', host '127.0.0.1');
    CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER other
        OPTIONS (user '{user}', password '{password}');
    CREATE USER MAPPING IF NOT EXISTS FOR rivet SERVER other
        OPTIONS (user '{user}', password '{password}');
    CREATE TABLE {0}_there (id bigint, at timestamptz, v text);
    INSERT INTO {0}_there SELECT g, now() - interval '1 day', 'f' FROM generate_series(1, 500) g;
    INSERT INTO {0}_there VALUES (NULL, NULL, 'lost'), (NULL, NULL, 'lost too')"""
FOREIGN_TABLE = """
    CREATE FOREIGN TABLE {0} (id bigint NOT NULL, at timestamptz NOT NULL, v text)
        SERVER other OPTIONS (table_name '{0}_there'); GRANT SELECT ON {0} TO rivet"""
FOREIGN_PART = """
    CREATE TABLE {0} (id bigint NOT NULL, at timestamptz NOT NULL, v text) PARTITION BY LIST (v);
    CREATE TABLE {0}_here PARTITION OF {0} FOR VALUES IN ('h');
    INSERT INTO {0} SELECT g, now() - interval '1 day', 'h' FROM generate_series(501, 900) g;
    CREATE FOREIGN TABLE {0}_far PARTITION OF {0} DEFAULT
        SERVER other OPTIONS (table_name '{0}_there');
    GRANT SELECT ON {0}, {0}_here, {0}_far TO rivet; ANALYZE"""
NOT_VALID = """
    CREATE TABLE {0} (id bigint UNIQUE, at timestamptz, v text);
    INSERT INTO {0} SELECT g, now() - interval '1 day', 'n' FROM generate_series(1, 500) g;
    INSERT INTO {0} VALUES (NULL, NULL, 'lost'), (NULL, NULL, 'lost too');
    ALTER TABLE {0} ADD CONSTRAINT n1 NOT NULL id NOT VALID;
    ALTER TABLE {0} ADD CONSTRAINT n2 NOT NULL at NOT VALID;
    ANALYZE"""
WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "range": {"mode": "chunked", "chunk_column": "id", "chunk_size": 100},
    "dense": {"mode": "chunked", "chunk_column": "at", "chunk_dense": True, "chunk_size": 200},
    "count": {"mode": "chunked", "chunk_count": 3, "parallel": 2, "chunk_column": "id"},
    "cursor": {"mode": "incremental", "cursor_column": "at"},
}
KEYSET = {"mode": "chunked", "chunk_by_key": "id", "chunk_size": 100}


def exported(folder, source, ways, table="t"):
    """Run one export per way; return the rows of each, by the manifest."""
    path = folder / "rivet.yaml"
    exports = [
        {
            "name": name.replace(" ", "_"),
            "table": table,
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            **keys,
        }
        for name, keys in ways.items()
    ]
    with path.open("w") as file:
        YAML().dump({"source": source, "exports": exports}, file)
    rivet.run(path, validate=True)
    return {name: rows_of(folder / "out" / name) for name in ways}


def rows_of(out):
    parts = json.loads((out / "manifest.json").read_text())["parts"]
    paths = [str(out / part["path"]) for part in parts]
    return sorted(duckdb.sql(f"SELECT id, v FROM read_parquet({paths})").fetchall(), key=repr)


def check_postgres(database, folder, ways, table="t"):
    source = {"type": "postgresql", "url": database.url, "tls": {"mode": "disable"}}
    found = exported(folder, source, ways, table)
    truth = sorted(database.execute(f"SELECT id, v FROM {table}", admin=True), key=repr)
    assert {name: len(rows) for name, rows in found.items()} == dict.fromkeys(ways, len(truth))
    assert all(rows == truth for rows in found.values())


@pytest.mark.live("postgresql")
def test_a_child_that_dropped_not_null(postgres, tmp_path):
    if postgres.version < 18:
        drop = "ALTER TABLE t_child ALTER COLUMN id DROP NOT NULL, ALTER COLUMN at DROP NOT NULL"
        postgres.execute(INHERITED.format("t", "NOT NULL", drop))
    else:
        postgres.execute(INHERITED.format("t", "NOT NULL NO INHERIT", "SELECT 1"))
    check_postgres(postgres, tmp_path, {**WAYS, "keyset": KEYSET})


@pytest.mark.live("postgresql")
@pytest.mark.parametrize("kind", [FOREIGN_TABLE, FOREIGN_PART], ids=["table", "partition"])
def test_a_foreign_not_null_is_a_promise(postgres, tmp_path, kind):
    given = conninfo_to_dict(postgres.admin_url)
    words = {
        "port": given["port"],
        "db": postgres.name,
        "user": given["user"],
        "password": str(given["password"]).replace("'", "''"),
    }
    available = "SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'"
    if not postgres.execute(available):
        pytest.skip("this server comes without postgres_fdw")
    for text in (FOREIGN, kind):
        postgres.execute(text.format("t", **words), admin=True)
    check_postgres(postgres, tmp_path, WAYS)


@pytest.mark.live("postgresql")
def test_a_not_null_that_was_never_checked(any_postgres, tmp_path):
    if any_postgres.version < 18:
        pytest.skip("this server always checks")
    any_postgres.execute(NOT_VALID.format("t"))
    check_postgres(any_postgres, tmp_path, {**WAYS, "keyset": KEYSET})
    config = {"name": "on", "table": "t", "format": "parquet", "keyset_incremental": True, **KEYSET}
    config["destination"] = {"type": "local", "path": str(tmp_path / "on")}
    source = {"type": "postgresql", "url": any_postgres.url, "tls": {"mode": "disable"}}
    with pytest.raises(PlanError, match="'id' is no key to page by"):
        rivet.run({"source": source, "exports": [config]})


SQLITE_KEYS = {
    "descending": "id INTEGER PRIMARY KEY DESC",
    "no rowid": "id BIGINT PRIMARY KEY",
    "unique": "id INTEGER UNIQUE",
}


@pytest.mark.parametrize("key", SQLITE_KEYS)
def test_a_key_of_sqlite_may_hold_null(tmp_path, key):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE t ({SQLITE_KEYS[key]}, at timestamp, v text)")
        rows = [(n, "2024-01-01 00:00:00", "x") for n in range(500)]
        rows += [(None, None, "lost"), (None, None, "lost too")]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.execute("ANALYZE")
    ways = {
        **WAYS,
        "keyset": KEYSET,
        "cursor": {"mode": "incremental", "cursor_column": "id"},
        "dense": {"mode": "chunked", "chunk_column": "id", "chunk_dense": True, "chunk_size": 200},
    }
    found = exported(tmp_path, {"type": "sqlite", "path": str(path)}, ways)
    truth = sorted(((n, v) for n, _, v in rows), key=repr)
    assert {name: len(rows) for name, rows in found.items()} == dict.fromkeys(ways, 502)
    assert all(rows == truth for rows in found.values())


def test_an_outer_join_of_duckdb_gives_null(tmp_path):
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE a (Id bigint NOT NULL, PRIMARY KEY (ID));"
            "CREATE TABLE b (ref bigint, v varchar);"
            "INSERT INTO a SELECT range FROM range(400);"
            "INSERT INTO b SELECT range, 'x' FROM range(200, 600);"
            "CREATE VIEW t AS SELECT a.id, b.v FROM b LEFT JOIN a ON a.id = b.ref"
        )
    ways = {
        "full": {},
        "range": {"mode": "chunked", "chunk_column": "Id", "chunk_size": 50},
        "dense": {"mode": "chunked", "chunk_column": "Id", "chunk_dense": True, "chunk_size": 50},
        "cursor": {"mode": "incremental", "cursor_column": "Id"},
    }
    source = {"type": "duckdb", "path": str(path)}
    found = exported(tmp_path, source, ways)
    assert {name: len(rows) for name, rows in found.items()} == dict.fromkeys(ways, 400)
