"""Keys whose texts have no encoding, or characters that Unicode lacks, are cut and gone on from.

A database of SQL_ASCII holds any bytes. Where such a column is to be text the run says which column
it is and what to do; as bytes every cut and every cursor gives all rows once.
"""

from __future__ import annotations

import dataclasses
import json

import duckdb
import psycopg
import pytest

import rivet as library
from rivet.sources.postgres.keytexts import CODECS
from support import clusters

pytestmark = pytest.mark.live("postgresql")
ROWS = 300
# By encoding: a character that is UTF-8 or has a code there, and bytes that are none.
BYTES = {
    "SQL_ASCII": ("é".encode(), b"\xe9"),
    "WIN1252": (b"\xe9", b"\x81"),
    "EUC_JP": (b"\xa4\xa2", b"\xa2\xaf"),
    "EUC_KR": (b"\xb0\xa1", b"\xc9\xa1"),
    "EUC_CN": (b"\xb0\xa1", b"\xaa\xa1"),
    "EUC_TW": (b"\xc4\xa1", b"\xfd\xfe"),
    "EUC_JIS_2004": (b"\xa4\xa2", b"\x8f\xfe\xfe"),
}
# What the role says that its sessions speak, which no session of ours does.
SPOKEN = {
    "SQL_ASCII": "LATIN1",
    "EUC_JP": "SJIS",
    "EUC_TW": "BIG5",
    "EUC_JIS_2004": "SHIFT_JIS_2004",
}
CUTS = {
    "full": {},
    "safe": {"tuning": {"profile": "safe"}},
    "chunked": {"mode": "chunked", "chunk_size": 100, "parallel": 2},
    "dense": {"mode": "chunked", "chunk_column": "k", "chunk_dense": True, "chunk_size": 100},
    "by key": {"mode": "chunked", "chunk_by_key": "k", "chunk_size": 70, "parallel": 2},
    "by a query": {"query": "SELECT * FROM t", "table": None, "mode": "full"},
}
GOING_ON = {
    "incremental": {"mode": "incremental", "cursor_column": "k"},
    "keyset": {
        "mode": "chunked",
        "chunk_by_key": "k",
        "chunk_size": 70,
        "keyset_incremental": True,
    },
    "char": {"mode": "incremental", "cursor_column": "c"},
}


@pytest.fixture(scope="module", params=BYTES)
def database(request, shared_any_postgres):
    """A database of an encoding, with a table whose keys are no texts every third time."""
    found, encoding = shared_any_postgres, request.param
    name = f"{found.name}_{encoding.lower()}"
    create = f"CREATE DATABASE {name} OWNER {clusters.ROLE} TEMPLATE template0"
    found.execute(f"{create} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'", admin=True)
    speaks = f"SET client_encoding = '{SPOKEN.get(encoding, 'SQL_ASCII')}'"
    found.execute(f"ALTER ROLE {clusters.ROLE} IN DATABASE {name} {speaks}", admin=True)
    url = found.url.replace(f"/{found.name}", f"/{name}")
    made = dataclasses.replace(found, url=url, name=name)
    with psycopg.connect(url, autocommit=True) as connection:
        add(connection, "CREATE TABLE t (k text PRIMARY KEY, id int NOT NULL, c char(9))")
        filled(connection, encoding, "K", range(ROWS))
        add(connection, "CREATE INDEX ON t (c)")
        add(connection, "ANALYZE")
    yield made, encoding
    found.execute(f"DROP DATABASE {name} WITH (FORCE)", admin=True)


def add(connection, statement):
    connection.execute(statement.encode() if isinstance(statement, str) else statement)


def filled(connection, encoding, first, numbers):
    """Insert rows whose keys begin with a letter, in their order."""
    text, none = BYTES[encoding]
    kinds = [b"", text, none]
    for number in numbers:
        key = b"%s%03d" % (first.encode(), number) + kinds[number % 3]
        value = f"convert_from('\\x{key.hex()}'::bytea, '{encoding}')"
        add(connection, f"INSERT INTO t VALUES ({value}, {number}, {value})")


def run(folder, database, *, is_binary=True, **keys):
    export = {"name": "t", "table": "t", "format": "parquet"}
    export |= {"destination": {"type": "local", "path": "out"}, **keys}
    export = {key: value for key, value in export.items() if value is not None}
    if is_binary:
        export["columns"] = {"k": "binary", "c": "binary"}
    folder.mkdir(exist_ok=True)
    path = folder / "rivet.yaml"
    source = {"type": "postgresql", "url": database.url}
    path.write_text(json.dumps({"source": source, "exports": [export]}))
    return library.run(path, check=False).exports[0]


def rows(folder):
    files = [str(path) for path in folder.rglob("*.parquet")]
    return sorted(duckdb.sql(f"SELECT id, k, c FROM read_parquet({files})").fetchall())


def stored(database):
    with psycopg.connect(database.url) as connection:
        name = "pg_catalog.getdatabaseencoding()"
        select = f"SELECT id, convert_to(k, {name}), convert_to(concat(c), {name}) FROM t"
        return sorted(connection.execute(select.encode()).fetchall())


@pytest.mark.parametrize("database", ["SQL_ASCII", "EUC_JP"], indirect=True)
def test_every_cut(database, tmp_path):
    found, _ = database
    for name, keys in CUTS.items():
        report = run(tmp_path / name, found, **keys)
        assert report.is_success, (name, report.failure)
        assert rows(tmp_path / name) == stored(found), name
        if name not in {"full", "by key"}:
            continue
        refused = run(tmp_path / f"{name} as text", found, is_binary=False, **keys)
        assert refused.failure.code.startswith("RIVET_FORMAT_"), (name, refused.failure)
        assert "column 'k'" in refused.failure.message
        assert "the type `binary`" in refused.failure.hint


def test_what_goes_on_from_such_a_key(database, tmp_path):
    found, encoding = database
    with psycopg.connect(found.url, autocommit=True) as connection:
        for turn, keys in enumerate(GOING_ON.values()):
            folder = tmp_path / str(turn)
            for letter in "LMN":  # the last key is of another kind each time
                report = run(folder, found, **keys)
                assert report.is_success, (keys, report.failure)
                filled(connection, encoding, letter, range(ROWS, ROWS + 1 + "LMN".index(letter)))
            report = run(folder, found, **keys)
            assert report.is_success, (keys, report.failure)
            assert rows(folder) == stored(found), keys
            add(connection, f"DELETE FROM t WHERE id >= {ROWS}")


def test_python_reads_encodings_of_one_byte_as_the_server_does(any_postgres):
    with any_postgres.connect() as connection:
        for encoding, codec in CODECS.items():
            data = bytes(byte for byte in range(1, 256) if bytes([byte]).decode(codec, "ignore"))
            ((back,),) = connection.execute(
                "SELECT convert_to(%s, %s)", (data.decode(codec), encoding)
            ).fetchall()
            assert back == data, encoding
