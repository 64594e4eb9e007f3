"""Verdicts on runs of many exports."""

import pytest

from bench.many_report import many_section, many_verdicts


def _case(wall_s, **more):
    numbers = {"wall_s": wall_s, "client_cpu_s": 1.0, "server_cpu_s": 1.0, "peak_mb": 100.0}
    return {"title": "somebody", "problem": None, "wall_over_cpu": 1.1, **numbers, **more}


@pytest.fixture
def many():
    return {
        "measured_at": "2026-01-01 00:00 UTC",
        "rivet": "1.0",
        "runs": 5,
        "rows": 800,
        "cpus": 2,
        "one_way_ms": 1.0,
        "mb_per_s": 25.0,
        "proxy_cpu_s": 1.0,
        "forty-empty": {"processes": _case(2.0), "reference": _case(1.5), "sequential": _case(5.0)},
        "eight-equal": {"processes": _case(9.0, shared_peak_mb=80.0, own_peak_mb=30.0)},
        "eight-delayed": {"processes": _case(8.0), "sequential": _case(30.0)},
    }


def _marks(many):
    return [verdict.is_met for verdict in many_verdicts(many)]


def test_all_met(many):
    assert _marks(many) == [True, True, True]


def test_what_was_not_measured_has_no_verdict():
    assert _marks({}) == [None, None, None]


def test_each_target_can_be_missed(many):
    many["forty-empty"]["processes"]["wall_s"] = 3.1
    many["eight-equal"]["processes"]["wall_over_cpu"] = 1.16
    many["eight-delayed"]["sequential"]["wall_s"] = 12.0
    assert _marks(many) == [False, False, False]


def test_a_failed_run_is_a_missed_target(many):
    failed = {"title": "somebody", "problem": "exit code 1: a | b\nc"}
    for scenario in ("forty-empty", "eight-equal", "eight-delayed"):
        many[scenario]["processes"] = failed
    assert _marks(many) == [False, False, False]
    assert "failed: exit code 1: a / b c" in "\n".join(many_section(many))


def test_a_proxy_that_is_too_busy_gives_no_verdict(many):
    many["proxy_cpu_s"] = 4.5
    assert _marks(many)[2] is None


def test_every_row_of_a_table_has_the_cells_of_its_head(many):
    many["forty-empty"]["threads"] = {"title": "somebody", "problem": "not run"}
    text = "\n".join(many_section(many))
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert [{row.count("|") for row in table} for table in tables] == [{8}, {10}, {8}]
