"""`consistency: run`: rows that move between tables are in one of them, however exports are run."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import rivet as library
from support.writers import connect, run

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = 3_000


@pytest.fixture
def shops(any_postgres: Any) -> Any:
    any_postgres.execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);"
        "CREATE TABLE c (id int PRIMARY KEY);"
        f"INSERT INTO a SELECT g FROM generate_series(1, {TOKENS}) g"
    )
    return any_postgres


def config(folder: Path, database: Any, consistency: str = "run", **keys: Any) -> Path:
    exports = [
        {
            "name": name,
            "table": name,
            "format": "parquet",
            "consistency": consistency,
            "destination": {"type": "local", "path": "out/{export}"},
            **(keys if name != "b" else {}),
        }
        for name in ("a", "b", "c")
    ]
    source = {"type": "postgresql", "url": database.url, "tls": {"mode": "disable"}}
    path = folder / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": exports}))
    return path


def taken(folder: Path) -> list[int]:
    found: list[int] = []
    for name in ("a", "b", "c"):
        prefix = folder / "out" / name
        for part in json.loads((prefix / "manifest.json").read_text())["parts"]:
            rows = duckdb.sql(f"SELECT id FROM '{prefix / part['path']}'").fetchall()
            found += [n for (n,) in rows]
    return sorted(found)


WAYS: dict[str, dict[str, Any]] = {
    "one after another": {"parallel_exports": False},
    "threads": {"parallel_exports": 3},
    "processes": {"parallel_export_processes": 3},
}
CHUNKED = {"mode": "chunked", "chunk_column": "id", "chunk_count": 4, "parallel": 2}


@pytest.mark.parametrize("way", WAYS)
def test_all_exports_are_one_instant(shops, tmp_path, way):
    stop = threading.Event()
    moves = [0]

    def move() -> None:
        with connect("postgresql", shops, autocommit=False) as connection:
            n = 0
            while not stop.is_set():
                n += 1
                old, new = "abc"[n % 3], "abc"[(n + 1) % 3]
                run(
                    connection,
                    f"WITH gone AS (DELETE FROM {old} WHERE id % 97 = {n % 97} RETURNING id)"
                    f" INSERT INTO {new} SELECT id FROM gone",
                )
                connection.commit()
                moves[0] += 1

    mover = threading.Thread(target=move)
    mover.start()
    try:
        path = config(tmp_path, shops, **CHUNKED)
        report = library.run(path, reconcile=True, **WAYS[way])
    finally:
        stop.set()
        mover.join()
    assert len(report.exports) == 3
    assert moves[0] > 5
    assert taken(tmp_path) == list(range(1, TOKENS + 1))


@pytest.mark.parametrize("way", ["one after another", "processes"])
def test_its_age_counts_from_its_begin_for_every_export(shops, tmp_path, way):
    path = config(tmp_path, shops)
    document = json.loads(path.read_text())
    first, second, _ = document["exports"]
    second |= {"table": "a", "tuning": {"max_snapshot_age_s": 1}}
    document["exports"] = [first, second]
    path.write_text(json.dumps(document))
    keys = WAYS[way] if way == "one after another" else {"parallel_export_processes": 1}

    def listen(event: Any) -> None:
        if event.type == "finished" and event.export_name == "a":
            time.sleep(1.1)

    report = library.run(path, check=False, on_event=listen, **keys)
    by_name = {one.export_name: one for one in report.exports}
    assert by_name["a"].is_success
    failure = by_name["b"].failure
    assert failure is not None
    assert failure.code == "RIVET_SOURCE_SNAPSHOT_AGE"


def test_an_export_that_cannot_enter_fails_and_the_others_do_not(shops, tmp_path):
    shops.execute("DROP TABLE b")
    report = library.run(config(tmp_path, shops), check=False)
    assert [one.is_success for one in report.exports] == [True, False, True]


def test_what_cannot_be_read_is_the_affair_of_its_export(shops, tmp_path):
    path = config(tmp_path, shops)
    body = json.loads(path.read_text())
    good, wrong = (
        body["exports"][1],
        {
            "no table": {"query": "SELECT * FROM missing"},
            "no column": {"query": "SELECT missing FROM a"},
            "no schema": {"table": "missing.a"},
            "no file": {"query_file": "missing.sql"},
            "no right": {"query": "SELECT pg_read_file('missing') AS a"},
        },
    )
    bare = {key: value for key, value in good.items() if key != "table"}
    body["exports"] = [{**bare, "name": name, **keys} for name, keys in wrong.items()]
    body["exports"].insert(2, good)
    path.write_text(json.dumps(body))
    report = library.run(path, check=False)
    assert [one.export_name for one in report.exports if one.is_success] == ["b"]
    said = [one.failure.message for one in report.exports if one.failure is not None]
    assert len(said) == 5
    assert all("missing" in text or "pg_read_file" in text for text in said), said


def test_it_is_refused_where_connections_would_not_do(shops, tmp_path, rivet):
    path = config(tmp_path, shops, mode="chunked", chunk_column="id", parallel=500)
    done = rivet("run", "-c", path).expect(1)
    assert "connections" in done.stderr
    assert not (tmp_path / "out").exists()


def test_other_engines_refuse_it(mariadb, tmp_path, rivet):
    source = {"type": "mysql", "url": mariadb.url, "tls": {"mode": "disable"}}
    path = config(tmp_path, mariadb)
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "source": source}))
    done = rivet("run", "-c", path).expect(1)
    assert "cannot enter the instant" in done.stderr


def test_a_cursor_refuses_it(shops, tmp_path, rivet):
    path = config(tmp_path, shops, mode="incremental", cursor_column="id")
    assert "does not go with a cursor" in rivet("run", "-c", path).expect(1).stderr
