"""Fewer connections than `parallel`: fewer chunks at a time and a word, no wait without end."""

from __future__ import annotations

import time

import pytest

from support.pooler import Pooler, need_pooler
from support.roles import PASSWORD, mariadb_user, postgres_role, rows_of, run_as, url_as

ROWS = 2000
_TABLE = f"CREATE TABLE t AS SELECT g AS id, md5(g::text) AS w FROM generate_series(1, {ROWS}) g;"
CUT = {"table": "t", "mode": "chunked", "chunk_column": "id", "chunk_size": 100}
# A wait for a connection that is not there is as long as one for a server that is not.
TUNING = {"connect_timeout_s": 2, "retry_backoff_ms": 1}


@pytest.fixture(scope="module")
def filled(shared_any_postgres):
    shared_any_postgres.execute(_TABLE + "ALTER TABLE t ADD PRIMARY KEY (id); ANALYZE t")
    return shared_any_postgres


def _is_whole(report, folder, *, room, asked):
    assert report.is_success, report.failure
    assert rows_of(folder, columns="id") == [(number,) for number in range(1, ROWS + 1)]
    words = f"connections for {room} of {asked} chunks at a time"
    assert any(words in warning for warning in report.warnings), report.warnings


@pytest.mark.live("postgresql")
@pytest.mark.parametrize(
    ("size", "keys", "instants"),
    [
        (2, {"parallel": 4}, 1),
        (1, {"parallel": 3}, 1),
        (2, {"parallel": 3, "consistency": "chunk"}, 20),
        (3, {"parallel": 4, "consistency": "run"}, 1),
    ],
)
def test_a_pool_smaller_than_parallel(filled, tmp_path, size, keys, instants):
    need_pooler()
    began = time.monotonic()
    with Pooler(filled, pool_size=size, query_wait_s=0) as pooler:
        report = run_as(pooler.url, tmp_path, **CUT, **keys, tuning=TUNING)
        room = size - (keys.get("consistency") == "run")
        _is_whole(report, tmp_path, room=room, asked=keys["parallel"])
    assert report.instants == instants
    assert time.monotonic() - began < 30


@pytest.mark.live("postgresql")
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_watch_of_the_load_waits_for_nothing(filled, tmp_path, mode, monkeypatch):
    need_pooler()
    monkeypatch.setenv("RIVET_GOVERNOR_INTERVAL_MS", "1")
    with Pooler(filled, pool_size=2, mode=mode, query_wait_s=0) as pooler:
        tuning = {**TUNING, "adaptive": True}
        report = run_as(pooler.url, tmp_path, **CUT, parallel=4, tuning=tuning)
    _is_whole(report, tmp_path, room=2, asked=4)
    assert report.duration_ms < 20_000


@pytest.mark.live("postgresql")
def test_one_instant_through_a_pooler(filled, tmp_path):
    need_pooler()
    changed = []

    def listen(event):
        if event.type == "chunk_completed" and not changed:
            filled.execute("INSERT INTO t SELECT g, 'late' FROM generate_series(5001, 5010) g")
            changed.append(1)

    with Pooler(filled, pool_size=4) as pooler:
        options = {"on_event": listen, "reconcile": True}
        report = run_as(pooler.url, tmp_path, **CUT, parallel=3, options=options)
        filled.execute("DELETE FROM t WHERE id > 5000")
    assert changed == [1]
    assert report.is_success, report.failure
    assert report.instants == 1
    assert report.reconciled == (ROWS, ROWS)
    assert rows_of(tmp_path, columns="id") == [(number,) for number in range(1, ROWS + 1)]


@pytest.mark.live("postgresql")
def test_a_role_with_a_limit(filled, tmp_path):
    with postgres_role(filled, "CONNECTION LIMIT 2") as role:
        filled.execute(f"GRANT SELECT ON t TO {role}")
        url = url_as(filled.url, role)
        report = run_as(url, tmp_path, **CUT, parallel=4, tuning={**TUNING, "adaptive": True})
        _is_whole(report, tmp_path, room=2, asked=4)
        assert any("too many connections for role" in text for text in report.warnings)


@pytest.mark.live("postgresql")
def test_a_database_with_a_limit(any_postgres, tmp_path):
    any_postgres.execute(_TABLE)
    limit = f"ALTER DATABASE {any_postgres.name} CONNECTION LIMIT 3"
    any_postgres.execute(limit, admin=True)
    report = run_as(any_postgres.url, tmp_path, **CUT, parallel=4, tuning=TUNING)
    _is_whole(report, tmp_path, room=3, asked=4)


@pytest.mark.live("mysql")
def test_a_user_with_a_limit(mariadb, tmp_path):
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, w text);"
        f"INSERT INTO t SELECT seq, md5(seq) FROM seq_1_to_{ROWS}"
    )
    with mariadb_user(mariadb, "WITH MAX_USER_CONNECTIONS 2") as user:
        mariadb.execute(
            f"GRANT SELECT ON t TO {user}; GRANT RELOAD, BINLOG MONITOR ON *.* TO {user}"
        )
        url = url_as(mariadb.url, user, PASSWORD)
        for folder, keys in (("export", {}), ("chunk", {"consistency": "chunk"})):
            report = run_as(url, tmp_path / folder, **CUT, parallel=4, tuning=TUNING, **keys)
            _is_whole(report, tmp_path / folder, room=2, asked=4)
