"""Many exports in one run: what each costs, how well they share a machine, and its memory."""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING, Any

from bench.cases import Case, own_environment, rivet_command
from bench.environments import environment
from bench.slow_network import MB_PER_S, ONE_WAY_MS, slow_network
from bench.suite import Outcome, run_table

if TYPE_CHECKING:
    from bench.fixture import Fixture

EMPTIES, SHARES = 40, 8
_THREADS, _PROCESSES = "--parallel-exports", "--parallel-export-processes"


def measure_many(fixture: Fixture, runs: int) -> dict[str, Any]:
    """Measure every scenario; the tables are made now, from `lineitem`.

    Args:
        fixture: The server, with `lineitem` in it.
        runs: Measured runs of each case.
    """
    print(f"filling {EMPTIES} empty tables and {SHARES} shares of lineitem ...", flush=True)
    fixture.fill_many(EMPTIES, SHARES)
    empties = [f"empty_{number:02}" for number in range(1, EMPTIES + 1)]
    shares = [f"share_{number}" for number in range(1, SHARES + 1)]
    rows = fixture.rows["lineitem"]
    forty = run_table(fixture, "forty-empty", _cases(empties), runs, expected=0)
    eight = run_table(
        fixture,
        "eight-equal",
        _cases(shares, "fast"),
        runs,
        expected=rows,
        is_weighed=True,
    )
    with slow_network(fixture) as network:
        cases = [case for case in _cases(shares) if case.name != "reference"]
        delayed = run_table(network.fixture, "eight-delayed", cases, runs, expected=rows)
        # Every run carries the same bytes, so each has the same share of it.
        proxy_cpu_s = network.cpu_s() / (len(cases) * (runs + 1))
    return {
        "runs": runs,
        "rows": rows,
        "cpus": len(os.sched_getaffinity(0)),
        "one_way_ms": ONE_WAY_MS,
        "mb_per_s": MB_PER_S,
        "proxy_cpu_s": round(proxy_cpu_s, 3),
        "forty-empty": _summaries(forty),
        "eight-equal": _summaries(eight),
        "eight-delayed": _summaries(delayed),
    }


def _cases(tables: list[str], reference_profile: str | None = None) -> list[Case]:
    own, reference = own_environment(), environment("reference")
    return [
        Case(
            "processes",
            f"Rivet, `{_PROCESSES}`",
            rivet_command(own, "postgresql", tables=tables, flags=[_PROCESSES]),
        ),
        Case(
            "reference",
            f"rivet-cli, {f'profile {reference_profile}, ' if reference_profile else ''}"
            f"`{_PROCESSES}`",
            rivet_command(
                reference, "postgres", reference_profile, tables=tables, flags=[_PROCESSES]
            ),
            problem=reference.problem,
        ),
        Case(
            "threads",
            f"Rivet, `{_THREADS}`",
            rivet_command(own, "postgresql", tables=tables, flags=[_THREADS]),
        ),
        Case(
            "sequential",
            "Rivet, one after another",
            rivet_command(own, "postgresql", tables=tables),
        ),
    ]


def _summaries(outcomes: dict[str, Outcome]) -> dict[str, dict[str, object]]:
    return {name: _summary(outcome) for name, outcome in outcomes.items()}


def _summary(outcome: Outcome) -> dict[str, object]:
    summary = outcome.summary()
    if outcome.costs:
        summary["wall_over_cpu"] = round(_wall_over_cpu(outcome), 3)
    if outcome.weighed is not None:
        summary["shared_peak_mb"] = round(outcome.weighed.shared_peak_mb, 1)
        summary["own_peak_mb"] = round(outcome.weighed.own_peak_mb, 1)
    return summary


def _wall_over_cpu(outcome: Outcome) -> float:
    """Return by how much the walls exceed what a perfectly busy machine would have needed.

    1.0 is a machine whose processors worked for the run from its first moment to its last.
    """
    cpus = len(os.sched_getaffinity(0))
    pairs = zip(outcome.costs, outcome.server_cpu_s, strict=True)
    return statistics.median(
        cost.wall_s * cpus / (cost.client_cpu_s + server_cpu_s) for cost, server_cpu_s in pairs
    )
