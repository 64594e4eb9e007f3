"""How long the command takes when there is nothing to do."""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from bench.cases import clean_environment, write_config
from bench.measure import Cost, run

_RIVET = str(Path(sys.executable).with_name("rivet"))
_LIMIT_S = 60.0


def measure_startup(runs: int) -> dict[str, int]:
    """Return medians in milliseconds: wall and processor of `--help` and of an empty run.

    An empty run exports a SQLite table without rows; its state is made anew each time.
    """
    helps, empties = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="rivet-bench-") as name:
            folder = Path(name)
            helps.append(_checked(["--help"], folder))
            with closing(sqlite3.connect(folder / "empty.db")) as connection:
                connection.execute("CREATE TABLE visitors (id INTEGER PRIMARY KEY, name TEXT)")
            config = write_config(folder, "sqlite:///empty.db", ["visitors"], "sqlite")
            empties.append(_checked(["run", "-c", str(config)], folder))
    return {
        "help_ms": _median_ms([cost.wall_s for cost in helps]),
        "help_cpu_ms": _median_ms([cost.client_cpu_s for cost in helps]),
        "empty_run_ms": _median_ms([cost.wall_s for cost in empties]),
        "empty_run_cpu_ms": _median_ms([cost.client_cpu_s for cost in empties]),
    }


def _checked(arguments: list[str], folder: Path) -> Cost:
    cost = run([_RIVET, *arguments], folder, clean_environment(folder), _LIMIT_S)
    if cost.exit_code != 0:
        msg = f"rivet {' '.join(arguments)} ended with {cost.exit_code}: {cost.message}"
        raise SystemExit(msg)
    return cost


def _median_ms(seconds: list[float]) -> int:
    return round(statistics.median(seconds) * 1000)
