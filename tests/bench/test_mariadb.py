"""MariaDB's share of the benchmark: the same values as PostgreSQL's, and verdicts that hold."""

from __future__ import annotations

import pytest

from bench.mariadb import _SCRIPT, maria_verdicts

pytestmark = pytest.mark.live("mysql")

SUMS = (
    "count(*), sum(id), sum(l_orderkey), sum(l_partkey), sum(l_suppkey), sum(l_quantity),"
    " sum(l_extendedprice), sum(l_discount), sum(l_tax), min(l_shipdate), max(l_receiptdate),"
    " sum(length(trim(l_shipinstruct))), sum(length(trim(l_shipmode))), sum(length(l_comment))"
)


def test_the_tables_of_both_servers_hold_the_same(mariadb, any_postgres):
    mariadb.execute(_SCRIPT.read_text().replace(":rows", "1000"))
    script = _SCRIPT.with_name("fixture.sql").read_text()
    script = script.split("CREATE VIEW")[0].split("BEGIN;")[1].replace(":lineitem", "1000")
    any_postgres.execute(f"BEGIN; {script} COMMIT")
    (theirs,) = any_postgres.execute(f"SELECT {SUMS} FROM lineitem")
    (ours,) = mariadb.execute(f"SELECT {SUMS} FROM lineitem")
    assert ours == tuple(map(str, theirs))


def test_verdicts():
    cases = {
        "drain": {"wall_s": 10.0},
        "rivet": {"wall_s": 10.9, "peak_mb": 200.0},
        "connectorx": {"wall_s": 9.0},
    }
    big = {"rivet": {"wall_s": 90.0, "peak_mb": 260.0}}
    found = [verdict.is_met for verdict in maria_verdicts({"lineitem": cases, "tenfold": big})]
    assert found == [True, False, False]
    assert [verdict.is_met for verdict in maria_verdicts({})] == [None, None, None]
