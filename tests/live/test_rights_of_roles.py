"""Rights that come by other ways than a grant to the user: PUBLIC, membership, SET ROLE."""

from __future__ import annotations

import pytest

from support.roles import mariadb_user, postgres_role, rows_of, run_as, run_many_as, url_as

ROWS = 500


@pytest.mark.live("postgresql")
def test_rights_of_another_role_are_those_it_reads_by(any_postgres, tmp_path):
    any_postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text, secret text);"
        f"INSERT INTO t SELECT g, 'v' || g, 's' FROM generate_series(1, {ROWS}) g; ANALYZE t;"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY"
    )
    include = {"table": "t", "include": ["id", "v"]}
    exports = {
        "full": include,
        "cut": {**include, "mode": "chunked", "chunk_count": 4, "parallel": 2},
        "grown": {**include, "mode": "incremental", "cursor_column": "id"},
    }
    with (
        postgres_role(any_postgres) as readers,
        postgres_role(any_postgres) as member,
        postgres_role(any_postgres, "NOINHERIT") as changing,
        postgres_role(any_postgres) as anybody,
    ):
        any_postgres.execute(
            f"GRANT SELECT (id, v) ON t TO {readers};"
            f"CREATE POLICY few ON t FOR SELECT TO {readers} USING (id <= 100);"
            f"GRANT {readers} TO {member}, {changing}",
            admin=True,
        )
        urls = {name: url_as(any_postgres.url, name) for name in (member, changing, anybody)}
        # Membership gives rights and policies; without INHERIT it gives none by itself.
        for name, report in run_many_as(urls[member], tmp_path / "member", exports).items():
            assert report.is_success, (name, report.failure)
            assert len(rows_of(tmp_path / "member", name, "id")) == 100
            assert any("row-level security" in one for one in report.not_covered), name
        failure = run_as(urls[changing], tmp_path / "none", **include).failure
        assert failure.code == "RIVET_SOURCE_AUTH"
        any_postgres.execute(f"ALTER ROLE {changing} SET role = '{readers}'", admin=True)
        for name, report in run_many_as(urls[changing], tmp_path / "set", exports).items():
            assert report.is_success, (name, report.failure)
            assert len(rows_of(tmp_path / "set", name, "id")) == 100
            assert any("row-level security" in one for one in report.not_covered), name
        failure = run_as(urls[changing], tmp_path / "all", table="t").failure
        assert failure.code == "RIVET_SOURCE_AUTH"
        assert "'secret'" in failure.message
        any_postgres.execute(
            "GRANT SELECT (id, v) ON t TO PUBLIC;CREATE POLICY less ON t FOR SELECT USING (id <= 9)"
        )
        for name, report in run_many_as(urls[anybody], tmp_path / "any", exports).items():
            assert report.is_success, (name, report.failure)
            assert len(rows_of(tmp_path / "any", name, "id")) == 9


@pytest.mark.live("mysql")
def test_json_of_which_only_some_is_granted(mariadb, tmp_path):
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, j json, k json, secret text);"
        """INSERT INTO t SELECT seq, '{"a": 1}', '[1]', 's' FROM seq_1_to_50"""
    )
    exports = {
        "label": {"table": "t", "include": ["id", "j"]},
        "asked": {"table": "t", "include": ["id", "j"], "types": {"json": "check"}},
        "named": {"table": "t", "include": ["id", "j"], "columns": {"j": "json"}},
        "query": {"query": "SELECT id, j FROM t", "types": {"json": "check"}},
    }
    with mariadb_user(mariadb) as user:
        mariadb.execute(f"GRANT SELECT (id, j) ON t TO {user}")
        reports = run_many_as(url_as(mariadb.url, user), tmp_path, exports)
        for name, report in reports.items():
            assert report.is_success, (name, report.failure)
            assert rows_of(tmp_path, name, "id, j")[0] == (1, '{"a": 1}'), name
        refused = run_as(url_as(mariadb.url, user), tmp_path / "k", table="t", include=["id", "k"])
        assert refused.failure.code == "RIVET_SOURCE_AUTH"
