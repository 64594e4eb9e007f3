"""A proxy that drops or doubles one row is found, with every way in which rows are read."""

from __future__ import annotations

import itertools
import json

import psycopg
import pytest

import rivet
from rivet.errors import RivetError
from support.hostile.fake import FakeServer
from support.hostile.postgres import Altering

pytestmark = pytest.mark.live("postgresql")
ROWS = 3000


@pytest.fixture(scope="module")
def shop(shared_any_postgres):
    shared_any_postgres.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, note text);"
        f"INSERT INTO orders SELECT i, repeat('x', i % 50) FROM generate_series(1, {ROWS}) i;"
        "ANALYZE orders"
    )
    return psycopg.conninfo.conninfo_to_dict(shared_any_postgres.url)


def dropped(kind):
    def alter(peer, answers):
        for number, one in enumerate(answers):
            if not (number == 40 and one[:1] == kind):
                peer.send(one)
            if one[:1] == b"Z":
                return

    return alter


def doubled(kind):
    def alter(peer, answers):
        for number, one in enumerate(answers):
            peer.send(*itertools.repeat(one, 2 if number == 40 and one[:1] == kind else 1))
            if one[:1] == b"Z":
                return

    return alter


def untold(kind):
    def alter(peer, answers):
        for one in answers:
            peer.send(one if one[:1] != b"C" else b"C\0\0\0\x09COPY\0")
            if one[:1] == b"Z":
                return

    return alter


COPY, FETCH = (b"COPY (", b"d"), (b"FETCH FORWARD", b"D")
MODES = {
    "slices": ({"table": "orders"}, COPY),
    "one-statement": ({"table": "orders", "tuning": {"max_statement_s": 0}}, COPY),
    "query": ({"query": "SELECT * FROM orders"}, COPY),
    "chunks": ({"table": "orders", "mode": "chunked", "chunk_size": 1000}, COPY),
    "portions": ({"query": "SELECT * FROM orders", "tuning": {"profile": "safe"}}, FETCH),
}


CASES = [(mode, alteration) for mode in MODES for alteration in (dropped, doubled)]
CASES += [("slices", untold), ("query", untold)]


@pytest.mark.parametrize(("mode", "alteration"), CASES)
def test_one_row_is_missed(shop, tmp_path, mode, alteration):
    export, (start, kind) = MODES[mode]
    script = Altering(int(shop["port"]), lambda sql: start in sql, alteration(kind))
    with FakeServer(script) as server:
        configuration = {
            "source": {
                "type": "postgres",
                "host": "127.0.0.1",
                "port": server.port,
                "user": shop["user"],
                "password": shop["password"],
                "database": shop["dbname"],
            },
            "exports": [
                {
                    "name": "orders",
                    "format": "csv",
                    "destination": {"type": "local", "path": "out"},
                    **export,
                }
            ],
        }
        file = tmp_path / "rivet.yaml"
        file.write_text(json.dumps(configuration))
        with pytest.raises(RivetError) as caught:
            rivet.run(file)
    assert caught.value.exit_code == 3, caught.value
    assert caught.value.error_code == "RIVET_DATA_ROWS_LOST", caught.value
