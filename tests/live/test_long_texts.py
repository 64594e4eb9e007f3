"""Texts of MariaDB and MySQL that differ behind what a server sorts by (1,024 bytes)."""

from __future__ import annotations

import json

import duckdb
import pytest

import rivet

pytestmark = pytest.mark.live("mysql")

ROWS = 300
COLUMNS = {"bytes": "longblob", "other": "varchar(5000) CHARACTER SET cp932"}
WAYS = {
    "dense": {"mode": "chunked", "chunk_dense": True, "chunk_size": 40, "chunk_column": "t"},
    "cursor": {"mode": "incremental", "cursor_column": "t"},
}


@pytest.mark.parametrize("fixture", ["shared_mariadb", "shared_mysql9"])
def test_rows_come_once_or_are_refused(request, fixture, tmp_path):
    server = request.getfixturevalue(fixture)
    texts = ", ".join(f"({n}, CONCAT(REPEAT('z', 1500), '{n * 97 % 311}'))" for n in range(ROWS))
    for name, column in COLUMNS.items():
        server.execute(
            f"CREATE TABLE {name} (id int, t {column}); INSERT INTO {name} VALUES {texts}"
        )
    server.execute(
        "CREATE TABLE longer (id int, t longtext);"
        "INSERT INTO longer SELECT id, CONCAT(REPEAT('y', 40000), id) FROM other"
    )
    exports = [
        {"name": f"{table}_{way}", "table": table, "format": "parquet", **keys}
        | {"destination": {"type": "local", "path": f"out/{table}_{way}"}}
        for table in (*COLUMNS, "longer")
        for way, keys in WAYS.items()
    ]
    source = {"type": "mysql", "url": server.url, "tls": {"mode": "disable"}}
    (tmp_path / "rivet.yaml").write_text(json.dumps({"source": source, "exports": exports}))
    for report in rivet.run(tmp_path / "rivet.yaml", check=False).exports:
        if report.export_name.startswith("longer"):
            assert report.failure.code == "RIVET_PLAN_UNSUPPORTED"
            assert "too long to go by" in report.failure.message
            continue
        assert report.failure is None
        files = str(tmp_path / "out" / report.export_name / "*.parquet")
        found = duckdb.sql(f"SELECT count(*), count(DISTINCT id) FROM read_parquet('{files}')")
        assert (report.export_name, found.fetchall()) == (report.export_name, [(ROWS, ROWS)])
