"""A user who may read some columns reads them in every mode, and is told which ones it may not."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import pytest

from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources import load_engine
from support.roles import mariadb_user, postgres_role, rows_of, run_many_as, url_as

ROWS = 3000
_FIRST = "2024-01-01"
_COLUMNS = ["id", "made", "v"]

_MODES = {
    "full": {},
    "sliced": {"tuning": {"max_statement_s": 0.01}},
    "without": {"include": None, "exclude": ["secret", "code"]},
    "ranges": {"mode": "chunked", "chunk_column": "id", "chunk_size": 400},
    "counted": {"mode": "chunked", "chunk_column": "id", "chunk_count": 5, "parallel": 3},
    "auto": {"mode": "chunked", "parallel": 3},
    "paged": {"mode": "chunked", "chunk_by_key": "id", "chunk_size": 500},
    "days": {"mode": "chunked", "chunk_column": "made", "chunk_by_days": 10},
    "dense": {"mode": "chunked", "chunk_column": "id", "chunk_dense": True, "chunk_size": 700},
    "sized": {"mode": "chunked", "chunk_size_memory_mb": 1},
    "apart": {"mode": "chunked", "chunk_column": "id", "consistency": "chunk", "parallel": 2},
    "together": {"mode": "chunked", "chunk_column": "id", "consistency": "run"},
    "grown": {"mode": "incremental", "cursor_column": "id"},
    "later": {"mode": "incremental", "cursor_column": "made"},
    "keyset": {"mode": "chunked", "chunk_by_key": "id", "keyset_incremental": True},
    "window": {"mode": "time_window", "time_column": "made", "days_window": 100_000},
    "masked": {"mask": {"v": "null"}},
}
_OF_PARTITIONS = ("full", "auto", "paged", "days", "together", "later")
# A user who may not read the key.
_KEYLESS = {
    "full": {},
    "auto": {"mode": "chunked", "parallel": 3},
    "days": {"mode": "chunked", "chunk_column": "made", "chunk_by_days": 10},
    "later": {"mode": "incremental", "cursor_column": "made"},
    "window": {"mode": "time_window", "time_column": "made", "days_window": 100_000},
}


def _exports(modes, columns, table="t"):
    base = {"table": table, "include": columns}
    exports = {name: {**base, **keys} for name, keys in modes.items()}
    return {
        name: {key: value for key, value in keys.items() if value is not None}
        for name, keys in exports.items()
    }


def _check_all(url, folder, modes, columns, expected, table="t"):
    exports = _exports(modes, columns, table)
    reports = run_many_as(url, folder, exports, reconcile=True)
    problems = {}
    for name, report in reports.items():
        if not report.is_success:
            problems[name] = report.failure.message
            continue
        listed = ", ".join(columns) if name != "masked" else "id, made, 'masked'"
        found = rows_of(folder, name, listed)
        wanted = [(*row[:2], "masked") for row in expected] if name == "masked" else expected
        if found != sorted(wanted) or report.reconciled != (len(expected), len(expected)):
            problems[name] = f"{len(found)} of {len(expected)} rows, {report.reconciled}"
    assert problems == {}


_POSTGRES = f"""
    CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE NOT NULL, made timestamp NOT NULL,
                    v text, secret text);
    INSERT INTO t SELECT g, 'c' || g, timestamp '{_FIRST}' + g * interval '1 hour', md5(g::text),
        'secret' FROM generate_series(1, {ROWS}) g;
    CREATE INDEX ON t (made);
    CREATE TABLE p (LIKE t) PARTITION BY RANGE (id);
    CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (1000);
    CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (1000) TO (100000);
    ALTER TABLE p ADD PRIMARY KEY (id);
    INSERT INTO p TABLE t;
    CREATE VIEW w AS SELECT id, made, v, secret FROM t;
    ANALYZE t; ANALYZE p;
"""


@pytest.fixture(scope="module")
def granted(shared_postgres):
    shared_postgres.execute(_POSTGRES)
    with postgres_role(shared_postgres) as role:
        for table in ("t", "p", "w"):
            shared_postgres.execute(f"GRANT SELECT (id, made, v) ON {table} TO {role}")
        yield shared_postgres, url_as(shared_postgres.url, role)


@pytest.mark.live("postgresql")
@pytest.mark.parametrize("table", ["t", "p"])
def test_every_mode_reads_what_is_granted(granted, tmp_path, table):
    database, url = granted
    expected = database.execute("SELECT id, made, v FROM t")
    modes = _MODES if table == "t" else {name: _MODES[name] for name in _OF_PARTITIONS}
    _check_all(url, tmp_path, modes, _COLUMNS, expected, table)


@pytest.mark.live("postgresql")
def test_views_are_read_by_their_granted_columns(granted, tmp_path):
    database, url = granted
    expected = database.execute("SELECT id, made, v FROM t")
    modes = {name: keys for name, keys in _MODES.items() if name in {"full", "ranges", "window"}}
    _check_all(url, tmp_path, modes, _COLUMNS, expected, "w")


@pytest.mark.live("postgresql")
def test_a_key_that_may_not_be_read_is_no_key(granted, tmp_path):
    database, _ = granted
    with postgres_role(database) as role:
        database.execute(f"GRANT SELECT (made, v) ON t, p TO {role}")
        expected = database.execute("SELECT made, v FROM t")
        for table in ("t", "p"):
            url = url_as(database.url, role)
            _check_all(url, tmp_path / table, _KEYLESS, ["made", "v"], expected, table)


@pytest.mark.live("postgresql")
@pytest.mark.parametrize(
    "relation",
    [
        Relation(table="t"),
        Relation(table="p"),
        Relation(table="w"),
        Relation(query="SELECT id FROM t"),
        Relation(query="SELECT id FROM w JOIN p USING (id)"),
    ],
    ids=lambda relation: relation.label,
)
def test_nothing_is_truncated_between_snapshot_and_lock(any_postgres, relation):
    """A read that waited for a TRUNCATE sees what came after it, and never an empty table."""
    any_postgres.execute(_POSTGRES)
    with postgres_role(any_postgres) as role:
        any_postgres.execute(f"GRANT SELECT (id, made, v) ON t, p, w TO {role}")
        address = SourceAddress("postgresql", url=Secret(url_as(any_postgres.url, role)))
        engine = load_engine("postgresql")
        with engine.connect(address, SessionSettings()) as session, any_postgres.connect() as other:
            columns = session.columns(relation, ColumnRules(include=("id",)))
            other.execute("BEGIN; CREATE TEMP TABLE few AS SELECT * FROM t WHERE id < 4")
            other.execute("TRUNCATE t, p_low; INSERT INTO t TABLE few; INSERT INTO p TABLE few")
            found = []
            request = ReadRequest(relation, columns, is_whole=False)
            reader = threading.Thread(
                target=lambda: found.extend(batch.num_rows for batch in session.read(request))
            )
            reader.start()
            while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
                time.sleep(0.05)
            other.execute("COMMIT")
            reader.join()
            assert sum(found) == session.count(relation) > 0


_CUT = {"include": ["id"], "mode": "chunked"}
_REFUSALS = {
    "all": ({}, ["code", "secret"]),
    "wanted": ({"include": ["id", "secret"]}, ["secret"]),
    "chunk": (
        {"include": ["id"], "mode": "chunked", "chunk_column": "secret", "chunk_count": 3},
        ["secret"],
    ),
    "key": ({"include": ["id"], "mode": "chunked", "chunk_by_key": "code"}, ["code"]),
    "cursor": ({"include": ["id"], "mode": "incremental", "cursor_column": "code"}, ["code"]),
}


def _check_refusals(url, folder, refusals):
    exports = {name: {"table": "t", **keys} for name, (keys, _) in refusals.items()}
    for name, report in run_many_as(url, folder, exports).items():
        failure = report.failure
        assert failure is not None, name
        assert (failure.code, failure.exit_code) == ("RIVET_SOURCE_AUTH", 1), (name, failure)
        for column in refusals[name][1]:
            assert f"'{column}'" in failure.message, (name, failure.message)
        assert "grant" in failure.hint
    assert not list(folder.rglob("*.parquet"))


@pytest.mark.live("postgresql")
def test_a_missing_right_is_one_error_that_names_the_columns(granted, tmp_path):
    _check_refusals(granted[1], tmp_path, _REFUSALS)


_MARIADB = f"""
    CREATE TABLE t (id int PRIMARY KEY, code varchar(20) UNIQUE NOT NULL, made datetime NOT NULL,
                    v varchar(40), secret text, KEY (made));
    INSERT INTO t SELECT seq, concat('c', seq), '{_FIRST}' + INTERVAL seq HOUR, md5(seq), 'secret'
        FROM seq_1_to_{ROWS};
"""


def _moments(rows):
    """Return rows as DuckDB has them: the client of the server prints texts."""
    typed = [(*map(int, row[:-2]), datetime.fromisoformat(row[-2]), row[-1]) for row in rows]
    return sorted(typed)


@pytest.fixture(scope="module")
def granted_mariadb(shared_mariadb):
    shared_mariadb.execute(_MARIADB)
    with mariadb_user(shared_mariadb) as user:
        shared_mariadb.execute(f"GRANT SELECT (id, made, v) ON t TO {user}")
        yield shared_mariadb, url_as(shared_mariadb.url, user)


# `consistency: run` is PostgreSQL's; and nobody knows of columns that are not to be read.
_NOT_THERE = {"together", "without"}


@pytest.mark.live("mysql")
def test_every_mode_reads_what_is_granted_on_mariadb(granted_mariadb, tmp_path):
    database, url = granted_mariadb
    expected = _moments(database.execute("SELECT id, made, v FROM t"))
    modes = {name: keys for name, keys in _MODES.items() if name not in _NOT_THERE}
    _check_all(url, tmp_path, modes, _COLUMNS, expected)


@pytest.mark.live("mysql")
def test_a_key_that_may_not_be_read_is_no_key_on_mariadb(granted_mariadb, tmp_path):
    database, _ = granted_mariadb
    with mariadb_user(database) as user:
        database.execute(f"GRANT SELECT (made, v) ON t TO {user}")
        expected = _moments(database.execute("SELECT made, v FROM t"))
        _check_all(url_as(database.url, user), tmp_path, _KEYLESS, ["made", "v"], expected)


@pytest.mark.live("mysql")
def test_a_missing_right_is_one_error_that_names_the_columns_on_mariadb(granted_mariadb, tmp_path):
    # This server does not show what else there is, so what may be read is named instead.
    refusals = dict(_REFUSALS)
    del refusals["key"]
    refusals |= {"all": ({}, _COLUMNS), "rest": ({"exclude": ["secret", "code"]}, _COLUMNS)}
    _check_refusals(granted_mariadb[1], tmp_path, refusals)
