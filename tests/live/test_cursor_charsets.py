"""Text cursors in the character sets of several bytes: two runs more, with late rows."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest

import rivet as library

pytestmark = pytest.mark.live("mysql")
CHARSETS = ("sjis", "cp932", "ujis", "eucjpms", "gbk", "big5", "euckr", "gb2312")
# Of every length that a character has; some end in a backslash in SJIS, GBK and Big5.
CODES = "aZ'\\~。表ソ一二人中許가힝\u03b1Яｱ"
MODES: dict[str, dict[str, Any]] = {
    "cursor": {"mode": "incremental", "cursor_column": "k"},
    "keyset": {
        "mode": "chunked",
        "chunk_by_key": "k",
        "chunk_size": 5,
        "keyset_incremental": True,
    },
}


def values(charset: str) -> str:
    """Select those characters that a set has, alone and in pairs."""
    listed = " UNION ALL ".join(
        f"SELECT CONVERT(_utf8mb4 x'{one.encode().hex()}' USING {charset}) AS c" for one in CODES
    )
    known = f"SELECT c FROM ({listed}) AS every WHERE HEX(c) <> '3F'"
    pairs = f"SELECT CONCAT(a.c, b.c) FROM ({known}) AS a, ({known}) AS b"
    return f"SELECT c AS k FROM ({known}) AS one UNION {pairs}"


def test_each_row_comes_once_in_three_runs(shared_mariadb, tmp_path):
    server = shared_mariadb
    exports = []
    for charset in CHARSETS:
        column = f"k varchar(9) CHARACTER SET {charset} COLLATE {charset}_bin"
        server.execute(
            f"CREATE TABLE all_{charset} ({column} PRIMARY KEY); CREATE TABLE t_{charset} LIKE"
            f" all_{charset}; INSERT INTO all_{charset} {values(charset)}"
        )
        for name, keys in MODES.items():
            table = f"t_{charset}"
            export = {"name": f"{table}_{name}", "table": table, "format": "parquet", **keys}
            exports.append(
                export | {"destination": {"type": "local", "path": f"out/{table}_{name}"}}
            )
    source = {"type": "mysql", "url": server.url, "tls": {"mode": "disable"}}
    config = tmp_path / "rivet.yaml"
    config.write_text(json.dumps({"source": source, "exports": exports}))
    for part in range(3):
        for charset in CHARSETS:  # the late rows are behind the first ones in the set's own order
            ((told,),) = server.execute(f"SELECT COUNT(*) FROM all_{charset}")
            count = int(told)
            assert count > 30, charset
            server.execute(
                f"INSERT INTO t_{charset} SELECT k FROM all_{charset} ORDER BY k"
                f" LIMIT {count // 3 + 1} OFFSET {(count // 3 + 1) * part}"
            )
        for report in library.run(config, check=False).exports:
            assert report.is_success, (report.failure, part)
    for export in exports:
        files = [str(path) for path in (tmp_path / "out" / export["name"]).rglob("*.parquet")]
        found = duckdb.sql(f"SELECT k FROM read_parquet({files}) ORDER BY k").fetchall()
        stored = server.execute(f"SELECT HEX(CONVERT(k USING utf8mb4)) FROM {export['table']}")
        expected = sorted((bytes.fromhex(str(one)).decode(),) for (one,) in stored)
        assert found == expected, export["name"]
