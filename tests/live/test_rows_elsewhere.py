"""Tables of MariaDB whose rows another server holds: what is declared here is not checked there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest

import rivet
from rivet.ui.blocks import export_block

pytestmark = pytest.mark.live("mysql")

# MariaDB comes with the first; the others are packages of their own.
MADE = {
    "ha_federatedx": "ENGINE=FEDERATED CONNECTION='mysql://{user}:x@127.0.0.1:{port}/{db}/here'",
    "ha_connect": (
        "ENGINE=CONNECT TABLE_TYPE=MYSQL CONNECTION='mysql://{user}:x@127.0.0.1:{port}/{db}/here'"
    ),
    "ha_spider": (
        'ENGINE=SPIDER COMMENT=\'wrapper "mysql", host "127.0.0.1", port "{port}", user "{user}",'
        ' password "x", database "{db}", table "here"\''
    ),
}
WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "range": {"mode": "chunked", "chunk_column": "id", "chunk_size": 100},
    "dense": {"mode": "chunked", "chunk_column": "id", "chunk_dense": True, "chunk_size": 100},
    "auto": {"mode": "chunked"},
    "view": {"table": "behind", "mode": "chunked", "chunk_column": "id", "chunk_size": 100},
    "query": {
        "query": "SELECT * FROM far",
        "mode": "chunked",
        "chunk_column": "id",
        "chunk_size": 99,
    },
}
REFUSED: dict[str, dict[str, Any]] = {
    "side by side": {"mode": "chunked", "chunk_column": "id", "chunk_size": 100, "parallel": 2},
    "by key": {"mode": "chunked", "chunk_by_key": "id"},
    "strict": {"mode": "incremental", "cursor_column": "id", "strict_cursor": True},
}

CURSOR: dict[str, Any] = {"mode": "incremental", "cursor_column": "id"}


@pytest.fixture(scope="module", params=MADE)
def far(request, shared_mariadb):
    """A table that says it has a key and no NULL; the one that it shows has neither."""
    database, made = shared_mariadb, MADE[request.param]
    ((folder,),) = database.execute("SELECT @@plugin_dir")
    if not (Path(folder) / f"{request.param}.so").exists():
        pytest.skip(f"this server comes without {request.param}")
    engine = made.split()[0].removeprefix("ENGINE=")
    if engine not in {name for name, *_ in database.execute("SHOW ENGINES")}:
        database.execute(f"INSTALL SONAME '{request.param}'")
    if request.param == "ha_spider":
        database.execute("SET GLOBAL spider_same_server_link = ON")
    user = f"far_{database.name}"[:60]
    place = {"user": user, "port": urlsplit(database.url).port, "db": database.name}
    database.execute(
        f"CREATE OR REPLACE USER {user} IDENTIFIED BY 'x'; GRANT ALL ON *.* TO {user};"
        "CREATE OR REPLACE TABLE here (id int, v varchar(20), KEY (id));"
        "INSERT INTO here SELECT seq, 'v' FROM seq_1_to_1000;"
        "INSERT INTO here VALUES (NULL, 'lost'), (NULL, 'lost too'), (500, 'twice');"
        f"CREATE TABLE far (id int NOT NULL, v varchar(20), PRIMARY KEY (id)) {made};".format(
            **place
        )
        + "CREATE VIEW behind AS SELECT id, v FROM far WHERE v <> 'no such'"
    )
    yield database
    database.execute(f"DROP VIEW behind; DROP TABLE far; DROP USER {user}")


def exported(database, folder: Path, ways: dict[str, dict[str, Any]]):
    exports = [
        {"name": name.replace(" ", "_"), "mode": "full", "format": "csv", **keys}
        | ({} if "query" in keys else {"table": keys.get("table", "far")})
        | {"destination": {"type": "local", "path": f"out/{name}"}}
        for name, keys in ways.items()
    ]
    source = {"type": "mysql", "url": database.url, "tls": {"mode": "disable"}}
    (folder / "rivet.yaml").write_text(json.dumps({"source": source, "exports": exports}))
    reports = rivet.run(folder / "rivet.yaml", check=False).exports
    return {one.export_name.replace("_", " "): one for one in reports}


def test_no_row_is_lost_and_nothing_is_claimed(far, tmp_path):
    reports = exported(far, tmp_path, WAYS)
    for name, report in reports.items():
        assert report.failure is None
        files = str(tmp_path / "out" / name / "*.csv")
        found = duckdb.sql(f"SELECT v, count(*) FROM read_csv('{files}') GROUP BY v").fetchall()
        rows = [("lost", 1), ("lost too", 1), ("twice", 1), ("v", 1000)]
        assert (name, sorted(found)) == (name, rows)
        assert "consistency: one instant" not in " ".join(export_block(report).split())
        warned = " ".join(report.warnings)
        is_cut = name in {"range", "dense", "view", "query"}
        assert ("read as one statement, not in chunks: table" in warned) is is_cut, name


def test_what_would_lose_rows_is_refused_or_said(far, tmp_path):
    reports = exported(far, tmp_path, REFUSED | {"cursor": CURSOR})
    told = " ".join(export_block(reports.pop("cursor")).split())
    codes = {name: one.failure and one.failure.code for name, one in reports.items()}
    assert codes == dict.fromkeys(REFUSED, "RIVET_PLAN_UNSUPPORTED")
    assert "not guaranteed: table" in told
    assert "may have a NULL that no chunk and no window finds" in told
