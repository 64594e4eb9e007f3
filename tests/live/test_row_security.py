"""Rows that row-level security hides: said wherever the run is told of, refused where strict."""

from __future__ import annotations

import pytest

from rivet.ui.blocks import export_block
from support.roles import manifest_of, postgres_role, rows_of, run_as, run_many_as, url_as

pytestmark = pytest.mark.live("postgresql")

_TABLES = """
    CREATE TABLE orders (id int PRIMARY KEY, owner text);
    INSERT INTO orders SELECT g, CASE WHEN g <= 3 THEN 'mine' ELSE 'theirs' END
        FROM generate_series(1, 10) g;
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON orders FOR SELECT USING (owner = 'mine');
    CREATE TABLE open (id int PRIMARY KEY);
    INSERT INTO open SELECT generate_series(1, 10);
    ALTER TABLE open ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everything ON open USING (true);
    CREATE TABLE closed (id int PRIMARY KEY);
    INSERT INTO closed SELECT generate_series(1, 10);
    ALTER TABLE closed ENABLE ROW LEVEL SECURITY;
    CREATE TABLE narrow (LIKE open);
    INSERT INTO narrow TABLE open;
    ALTER TABLE narrow ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everything ON narrow USING (true);
    CREATE POLICY few ON narrow AS RESTRICTIVE USING (id < 4);
    CREATE TABLE days (id int, owner text) PARTITION BY RANGE (id);
    CREATE TABLE days_one PARTITION OF days FOR VALUES FROM (0) TO (100);
    INSERT INTO days TABLE orders;
    ALTER TABLE days_one ENABLE ROW LEVEL SECURITY;
    CREATE TABLE forced (LIKE orders);
    INSERT INTO forced TABLE orders;
    ALTER TABLE forced ENABLE ROW LEVEL SECURITY;
    ALTER TABLE forced FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON forced USING (owner = 'mine');
    CREATE VIEW as_owner AS SELECT * FROM orders;
    CREATE VIEW of_forced AS SELECT * FROM forced;
    CREATE MATERIALIZED VIEW kept AS SELECT * FROM forced;
"""
_INVOKER = """
    CREATE VIEW as_invoker WITH (security_invoker = true) AS SELECT * FROM orders;
    CREATE VIEW outer_view AS SELECT * FROM as_invoker;
"""


@pytest.fixture(scope="module")
def secured(shared_postgres):
    shared_postgres.execute(_TABLES)
    if shared_postgres.version >= 15:
        shared_postgres.execute(_INVOKER)
    with postgres_role(shared_postgres) as role:
        shared_postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        yield shared_postgres, url_as(shared_postgres.url, role)


_CASES = {
    "orders": ({}, 3, "public.orders"),
    "closed": ({}, 0, "public.closed"),
    "narrow": ({}, 3, "public.narrow"),
    "days_one": ({}, 0, "public.days_one"),
    "of_forced": ({}, 3, "public.forced"),
    "kept": ({}, 3, "public.forced"),
    "as_invoker": ({}, 3, "public.orders"),
    "outer_view": ({}, 3, "public.orders"),
    "joined": ({"query": "SELECT o.id FROM orders o JOIN open USING (id)"}, 3, "public.orders"),
    "cut": ({"table": "orders", "mode": "chunked", "chunk_count": 2, "parallel": 2}, 3, "orders"),
    "paged": ({"table": "orders", "mode": "chunked", "chunk_by_key": "id"}, 3, "orders"),
    "grown": ({"table": "orders", "mode": "incremental", "cursor_column": "id"}, 3, "orders"),
    "open": ({}, 10, None),
    "days": ({}, 10, None),
    "as_owner": ({}, 10, None),
    "queried": ({"query": "SELECT * FROM as_owner"}, 10, None),
}


def test_what_policies_hide_is_said(secured, tmp_path):
    database, url = secured
    cases = dict(_CASES)
    if database.version < 15:
        del cases["as_invoker"], cases["outer_view"]
    exports = {name: keys or {"table": name} for name, (keys, _, _) in cases.items()}
    for name, report in run_many_as(url, tmp_path, exports).items():
        _, rows, hidden = cases[name]
        assert report.is_success, report.failure
        assert len(rows_of(tmp_path, name)) == rows, name
        told = manifest_of(tmp_path, name)["source"]["extraction"]["not_covered"]
        assert list(report.not_covered) == told == report.to_json()["not_covered"]
        if hidden is None:
            assert told == [], name
        else:
            assert "row-level security applies to this user" in told[0]
            assert hidden in told[0]
            assert told[0] in report.warnings
            assert told[0] in export_block(report)


def test_what_policies_hide_is_refused_where_strict(secured, tmp_path):
    _, url = secured
    report = run_as(url, tmp_path, table="orders", strict=True)
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_REFUSED_NOT_COVERED", 5)
    assert "public.orders" in failure.message
    assert "BYPASSRLS" in failure.hint
    assert not list(tmp_path.rglob("*.parquet"))
    assert run_as(url, tmp_path, table="open", strict=True).rows == 10


def test_an_owner_sees_all_but_where_that_is_forced(secured, tmp_path):
    database, _ = secured
    assert run_as(database.url, tmp_path, table="orders", strict=True).rows == 10
    report = run_as(database.url, tmp_path / "forced", table="forced", strict=True)
    assert report.failure.code == "RIVET_REFUSED_NOT_COVERED"
    report = run_as(database.admin_url, tmp_path / "admin", table="forced", strict=True)
    assert report.rows == 10


def test_a_role_that_wants_an_error_has_a_clear_one(secured, tmp_path):
    database, _ = secured
    with postgres_role(database) as role:
        database.execute(f"GRANT SELECT ON orders TO {role}")
        database.execute(f"ALTER ROLE {role} SET row_security = off", admin=True)
        for relation in ({"table": "orders"}, {"query": "SELECT * FROM orders"}):
            report = run_as(url_as(database.url, role), tmp_path, **relation)
            failure = report.failure
            assert (failure.code, failure.exit_code) == ("RIVET_SOURCE_AUTH", 1)
            assert "row-level security" in failure.message
            assert "row_security" in failure.hint
