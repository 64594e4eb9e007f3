"""Exports side by side where the server, the database or the user takes few connections."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql
import pytest

from support.roles import PASSWORD, mariadb_user, postgres_role, rows_of, run_many_as, url_as

ROWS = 2000
WITHOUT = "2 exports at once instead of 5: the source's limits leave no more connections"


@pytest.fixture(params=["role", "database", "user"])
def limited(request):
    """Return a URL that takes two connections at a time."""
    if request.param == "user":
        mariadb = request.getfixturevalue("mariadb")
        mariadb.execute(
            "CREATE TABLE t (id int PRIMARY KEY, w text);"
            f"INSERT INTO t SELECT seq, md5(seq) FROM seq_1_to_{ROWS}"
        )
        with mariadb_user(mariadb, "WITH MAX_USER_CONNECTIONS 2") as user:
            mariadb.execute(f"GRANT SELECT ON t TO {user}")
            yield url_as(mariadb.url, user, PASSWORD)
        return
    postgres = request.getfixturevalue("any_postgres")
    postgres.execute(
        f"CREATE TABLE t AS SELECT g AS id, md5(g::text) AS w FROM generate_series(1, {ROWS}) g;"
        "ALTER TABLE t ADD PRIMARY KEY (id)"
    )
    with postgres_role(postgres, "CONNECTION LIMIT 2" * (request.param == "role")) as role:
        postgres.execute(f"GRANT SELECT ON t TO {role}")
        if request.param == "database":
            limit = f"ALTER DATABASE {postgres.name} CONNECTION LIMIT 2"
            postgres.execute(limit, admin=True)
        yield url_as(postgres.url, role)


def _held(url):
    """Connect as another program would."""
    if url.startswith("postgres"):
        return psycopg.connect(url)
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=unquote(parts.password or ""),
        database=parts.path[1:],
    )


def _held_soon(url: str) -> Any:
    """Hold a connection once the server has ended those of the run before."""
    until = time.monotonic() + 10
    while True:
        try:
            return _held(url)
        except (psycopg.OperationalError, pymysql.err.MySQLError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize(
    ("limited", "mode"),
    [
        ("role", "parallel_exports"),
        ("role", "parallel_export_processes"),
        ("database", "parallel_exports"),
        ("user", "parallel_exports"),
    ],
    indirect=["limited"],
)
def test_exports_side_by_side_stay_within_a_limit(limited, tmp_path, mode):
    keys = {"mode": "chunked", "chunk_column": "id", "chunk_size": 500, "parallel": 3}
    exports = {name: {"table": "t", **(keys if name in "ab" else {})} for name in "abcde"}
    told = []
    reports = run_many_as(limited, tmp_path, exports, on_event=told.append, **{mode: 5})
    for name, report in reports.items():
        assert report.is_success, report.failure
        assert len(rows_of(tmp_path, name)) == ROWS
    (warning,) = [one for one in told if one.type == "warning" and WITHOUT in one.message]
    assert (warning.export_name, warning.rule) == ("", "connections")


@pytest.mark.live("postgresql", "mysql")
def test_a_limit_that_is_reached_is_waited_for(limited, tmp_path):
    held = [_held(limited) for _ in range(2)]

    def let_go(event: Any) -> None:
        if event.type == "warning" and "waiting up to 10 s" in event.message:
            threading.Timer(1.5, lambda: [one.close() for one in held]).start()

    exports = {"a": {"table": "t"}, "b": {"table": "t"}}
    reports = run_many_as(limited, tmp_path, exports, on_event=let_go)
    assert all(report.is_success for report in reports.values())
    (warning,) = [one for one in reports["a"].warnings if "waiting up to 10 s" in one]
    assert "connect" in warning
    with closing(_held_soon(limited)), closing(_held_soon(limited)):
        keys = {"table": "t", "tuning": {"connect_timeout_s": 1}}
        report = run_many_as(limited, tmp_path / "never", {"a": keys})["a"]
    assert (report.failure.code, report.failure.exit_code) == ("RIVET_SOURCE_CONNECTION_LIMIT", 2)
    assert "raise the limit" in report.failure.hint
    assert not list(tmp_path.glob("never/out/**/*.parquet"))
