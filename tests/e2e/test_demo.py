"""`rivet demo`: the shop it makes is the same everywhere, and every row of it arrives."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import duckdb
import psutil
import pytest

from rivet.errors import DataIntegrityError, RefusedError, UnknownEngineError
from rivet.scaffold.demo import make_demo
from rivet.scaffold.private_server import private_server
from rivet.verify.outside import count_rows

SCALE = 0.004
# Changes only when the shop does: the same bytes on every machine, at every hour.
DIGEST = "8acf4b939b7cd74fe2b72e650aa01b8eb236c2db8c04478e343b69f943cb3d24"


def _digest(database):
    digest = hashlib.sha256()
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master"
            " WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        ).fetchall()
        for (table,) in tables:
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY id"):
                digest.update(repr(row).encode())
    return digest.hexdigest()


def _export_and_count(rivet, shop):
    rivet("run", "-c", shop.config).expect(0)
    listed = rivet("files", "-c", shop.config, "--json").expect(0).json
    found = {}
    for export in listed:
        paths = [Path(part["path"]) for part in export["files"]]
        found[export["export_name"]] = count_rows(paths, paths[0].suffix.removeprefix("."))
    assert found == shop.expected_rows


def test_the_shop_is_the_same_every_time(tmp_path):
    with make_demo(tmp_path / "shop", "sqlite", rows_scale=SCALE) as shop:
        assert _digest(shop.database) == DIGEST


def test_the_shop_has_every_storage_class_and_whole_references(tmp_path):
    with (
        make_demo(tmp_path / "shop", "sqlite", rows_scale=SCALE) as shop,
        closing(sqlite3.connect(shop.database)) as connection,
    ):
        found = connection.execute(
            "SELECT typeof(thumbnail) FROM products UNION SELECT typeof(weight_kg) FROM products"
            " UNION SELECT typeof(email) FROM customers UNION SELECT typeof(id) FROM orders"
        ).fetchall()
        assert {kind for (kind,) in found} == {"blob", "real", "text", "integer", "null"}
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        empty = "SELECT count(*) FROM customers WHERE email = ''"
        assert connection.execute(empty).fetchone()[0] > 0


def test_a_full_size_shop_has_more_than_a_million_rows_soon(tmp_path):
    started = time.monotonic()
    with make_demo(tmp_path / "shop", "sqlite") as shop:
        tables = {name: rows for name, rows in shop.expected_rows.items() if name != "revenue"}
    assert len(tables) >= 6
    assert sum(tables.values()) > 1_000_000
    assert time.monotonic() - started < 60


def test_every_row_of_a_sqlite_shop_arrives(rivet, tmp_path):
    with make_demo(tmp_path / "shop", "sqlite", rows_scale=SCALE) as shop:
        pass
    _export_and_count(rivet, shop)
    orders = tmp_path / "shop" / "out" / "orders" / "*.parquet"
    names = [row[0] for row in duckdb.sql(f"DESCRIBE SELECT * FROM '{orders}'").fetchall()]
    assert names[-2:] == ["_rivet_exported_at", "_rivet_row_hash"]


def test_a_big_table_becomes_several_files(rivet, tmp_path):
    with make_demo(tmp_path / "shop", "sqlite", rows_scale=SCALE) as shop:
        pass
    text = shop.config.read_text(encoding="utf-8")
    smaller = text.replace("row_group_rows: 50000", "row_group_rows: 500").replace(
        "max_file_size: 1MB", "max_file_size: 6KB\n    tuning: {batch_size: 500}"
    )
    shop.config.write_text(smaller, encoding="utf-8")
    rivet("run", "-c", shop.config, "-e", "order_lines").expect(0)
    listed = rivet("files", "-c", shop.config, "-e", "order_lines").expect(0).stdout.split()
    assert len(listed) > 1
    rows = shop.expected_rows["order_lines"]
    assert count_rows([Path(one) for one in listed], "parquet") == rows


def test_every_row_of_a_postgresql_shop_arrives(rivet, tmp_path):
    with make_demo(tmp_path / "shop", "postgresql", rows_scale=SCALE) as shop:
        assert not shop.survives_new_snapshot
        _export_and_count(rivet, shop)


def test_both_shops_have_the_same_rows(tmp_path):
    with make_demo(tmp_path / "one", "sqlite", rows_scale=SCALE) as one:
        pass
    with make_demo(tmp_path / "two", "postgresql", rows_scale=SCALE) as two:
        assert two.expected_rows == one.expected_rows


def test_a_demo_may_be_made_again_in_its_own_folder(tmp_path):
    for _ in range(2):
        with make_demo(tmp_path / "shop", "sqlite", rows_scale=SCALE) as shop:
            assert _digest(shop.database) == DIGEST


def test_a_folder_of_someone_else_is_left_alone(tmp_path):
    config = tmp_path / "rivet.yaml"
    config.write_text("source: {}\n")
    with pytest.raises(RefusedError), make_demo(tmp_path, "sqlite", rows_scale=SCALE):
        pass
    assert config.read_text() == "source: {}\n"
    assert not (tmp_path / "shop.db").exists()


def test_an_engine_without_a_shop_is_refused(tmp_path):
    with pytest.raises(UnknownEngineError), make_demo(tmp_path, "duckdb"):
        pass


def test_the_private_server_is_gone_afterwards():
    with private_server() as server:
        home = server.home
        pid = int((home / "data/postmaster.pid").read_text().split("\n", 1)[0])
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
    assert not home.exists()


def test_the_private_server_does_not_outlive_a_killed_demo():
    script = (
        "import time\nfrom rivet.scaffold.private_server import private_server\n"
        "with private_server() as server:\n"
        "    print(server.home, flush=True)\n    time.sleep(300)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as demo:
        home = Path(demo.stdout.readline().strip())
        pid = int((home / "data/postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(demo.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (psutil.pid_exists(pid) or home.exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(pid)
    assert not home.exists()


def test_the_outside_reader_counts_csv_records_not_lines(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text('id,remark\n1,"two\nlines"\n2,\n3,""\n', encoding="utf-8")
    two.write_text("id,remark\n", encoding="utf-8")
    assert count_rows([one, two], "csv") == 3
    assert count_rows([], "csv") == 0


def test_the_outside_reader_refuses_a_torn_file(tmp_path):
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataIntegrityError):
        count_rows([torn], "parquet")


@pytest.mark.soak
def test_the_whole_command(rivet, tmp_path):
    done = rivet("demo", tmp_path / "shop", timeout_s=300).expect(0)
    assert "every count equal" in done.stdout
