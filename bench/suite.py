"""All runs of one table, in alternation, so that a slow minute hits every case alike."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cases import Case, clean_environment
from bench.measure import Cost, run

if TYPE_CHECKING:
    from bench.fixture import Fixture

_COUNT = Path(__file__).parent / "peers" / "count_parquet.py"
_SETTLE_S = 0.2
_LIMIT_S = 900.0


@dataclass
class Outcome:
    """Every run of one case on one table.

    Attributes:
        server_cpu_s: Processor seconds of the server, one number a run.
        problem: Why there are no runs, or why they stopped.
        written_mb: Size of its files, in 10**6 bytes.
        weighed: The run that was not timed, where it was looked at for shared memory.
    """

    case: Case
    costs: list[Cost] = field(default_factory=list)
    server_cpu_s: list[float] = field(default_factory=list)
    problem: str | None = None
    written_mb: float | None = None
    weighed: Cost | None = None

    def summary(self) -> dict[str, object]:
        """Return the medians, and the largest peak."""
        if not self.costs:
            return {"title": self.case.title, "problem": self.problem or "not run"}
        return {
            "title": self.case.title,
            "runs": len(self.costs),
            "wall_s": round(statistics.median(cost.wall_s for cost in self.costs), 3),
            "walls_s": [round(cost.wall_s, 3) for cost in self.costs],
            "client_cpu_s": round(statistics.median(cost.client_cpu_s for cost in self.costs), 3),
            "server_cpu_s": round(statistics.median(self.server_cpu_s), 3),
            "peak_mb": round(max(cost.peak_mb for cost in self.costs), 1),
            "written_mb": self.written_mb,
            "problem": self.problem,
        }


def run_table(
    fixture: Fixture,
    table: str,
    cases: list[Case],
    runs: int,
    *,
    expected: int,
    is_weighed: bool = False,
) -> dict[str, Outcome]:
    """Run every case `runs` times on one table; the first round also warms up and counts the rows.

    Every other round goes backwards, so that no case always follows the same one.

    Args:
        fixture: The server.
        table: A table or view of it; for cases of several tables their common name.
        cases: Who reads it.
        runs: Measured runs of each case, after one that is not measured. A run of over 15 minutes
            is ended, and its case left out from there on.
        expected: Rows that each case's files must hold.
        is_weighed: Whether the first round looks at shared memory, too.
    """
    outcomes = {case.name: Outcome(case, problem=case.problem) for case in cases}
    for round_number in range(runs + 1):
        is_warm_up = round_number == 0
        in_turn = list(outcomes.values())
        for outcome in in_turn if round_number % 2 == 0 else reversed(in_turn):
            if outcome.problem is not None:
                continue
            cost, server_cpu_s = _one(
                fixture,
                table,
                outcome,
                expected=expected if is_warm_up else None,
                is_weighed=is_warm_up and is_weighed,
            )
            label = "warm-up" if is_warm_up else f"{round_number}/{runs}"
            print(
                f"  {table:<17}{outcome.case.name:<16}{label:<9}{cost.wall_s:7.2f} s"
                f"{cost.client_cpu_s:8.2f} s cpu{cost.peak_mb:7.0f} MB  {outcome.problem or ''}",
                flush=True,
            )
            if is_warm_up:
                outcome.weighed = cost if is_weighed else None
            elif outcome.problem is None:
                outcome.costs.append(cost)
                outcome.server_cpu_s.append(server_cpu_s)
    return outcomes


def _one(
    fixture: Fixture,
    table: str,
    outcome: Outcome,
    *,
    expected: int | None,
    is_weighed: bool,
) -> tuple[Cost, float]:
    with tempfile.TemporaryDirectory(prefix="rivet-bench-") as name:
        folder = Path(name)
        command = outcome.case.command(fixture.url, table, folder)
        before = fixture.cpu_s()
        environment = clean_environment(folder)
        cost = run(command, folder, environment, _LIMIT_S, is_weighed=is_weighed)
        time.sleep(_SETTLE_S)  # the server's process ends a moment after its client
        server_cpu_s = fixture.cpu_s() - before
        if cost.exit_code != 0:
            outcome.problem = f"exit code {cost.exit_code}: {_brief(cost.message)}"
        elif expected is not None and outcome.case.writes:
            found, size_bytes = _rows_and_bytes(folder / "out")
            outcome.written_mb = round(size_bytes / 1e6, 1)
            if found != expected:
                outcome.problem = f"wrote {found:,} rows instead of {expected:,}"
        return cost, server_cpu_s


def _rows_and_bytes(folder: Path) -> tuple[int, int]:
    # In another process: this one must stay small, see `measure`.
    done = subprocess.run(
        [sys.executable, str(_COUNT), str(folder)], capture_output=True, text=True, check=True
    )
    rows, size_bytes = done.stdout.split()
    return int(rows), int(size_bytes)


def _brief(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("Error")] or lines
    return told[-1][:200] if told else "no message"
