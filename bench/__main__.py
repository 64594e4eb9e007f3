"""Run the benchmark and write `bench/results/`. See README.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cases import all_cases
from bench.chunks import measure_chunks
from bench.environments import REQUIREMENTS
from bench.fixture import fixture
from bench.many import measure_many
from bench.mariadb import measure_maria
from bench.report import render, verdicts
from bench.startup import measure_startup
from bench.suite import run_table

if TYPE_CHECKING:
    from bench.fixture import Fixture

_RESULTS = Path(__file__).parent / "results"
_KERNEL = "from rivet.wire.kernel import kernel_kind; print(kernel_kind())"


def main() -> int:
    """Return 0 when every target that was measured is met, else 1."""
    options = _options()
    kernel = _kernel()
    if kernel != "compiled" and not options.allow_interpreted:
        sys.exit(
            f"the kernel is {kernel}: a benchmark of it says nothing; build it with a C compiler"
        )
    parts = [options.only] if options.only else ["tables", "chunks", "many", "mariadb"]
    results: dict[str, Any] = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "runs": options.runs,
        "kernel": kernel,
        "machine": _machine(),
        "versions": _versions(),
        "startup": {},
        "tables": {},
    }
    if "tables" in parts and (not options.cases or "rivet" in options.cases):
        results["startup"] = measure_startup(2 * options.runs + 1)
    about = {"measured_at": results["measured_at"], "rivet": results["versions"]["rivet"]}
    if "mariadb" in parts:
        measured = measure_maria(options.rows, options.runs, options.cases)
        results["mariadb"] = {**about, "machine": results["machine"], **measured}
    if parts != ["mariadb"]:
        _measure_postgres(parts, options, results, about)
    found = verdicts(results, parts)
    _write(_with_kept(results, options), options.results)
    print()
    for verdict in found:
        print(verdict.line())
    return 1 if any(verdict.is_met is False for verdict in found) else 0


def _measure_postgres(
    parts: list[str],
    options: argparse.Namespace,
    results: dict[str, Any],
    about: dict[str, str],
) -> None:
    with fixture(options.rows, options.wide_rows if "tables" in parts else 0) as server:
        results["fixture"] = server.describe()
        if "tables" in parts:
            _measure_tables(server, options, results)
        if "chunks" in parts:
            results["chunks"] = {**about, **measure_chunks(server, options.runs, options.cases)}
        if "many" in parts:
            results["many"] = {**about, **measure_many(server, options.runs)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each case (5)")
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of lineitem (3,000,000)")
    parser.add_argument("--wide-rows", type=int, default=300_000, help="rows of wide (300,000)")
    parser.add_argument(
        "--only",
        choices=["tables", "chunks", "many", "mariadb"],
        help="measure one part, keep the others' last results",
    )
    parser.add_argument("--tables", nargs="+", default=["lineitem", "wide"], help="tables")
    parser.add_argument("--cases", nargs="+", help="names of cases; all without it")
    parser.add_argument("--no-big", action="store_true", help="leave out ten times the rows")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="folder to write to")
    parser.add_argument(
        "--allow-interpreted", action="store_true", help="only to try the benchmark"
    )
    return parser.parse_args()


def _measure_tables(server: Fixture, options: argparse.Namespace, results: dict[str, Any]) -> None:
    cases = [case for case in all_cases() if not options.cases or case.name in options.cases]
    plan = [(table, cases, options.runs, server.rows[table]) for table in options.tables]
    own = [case for case in cases if case.name == "rivet"]
    if own and "lineitem" in options.tables and not options.no_big:
        plan.append(("lineitem_tenfold", own, 1, 10 * options.rows))
    for table, some, runs, expected in plan:
        found = run_table(server, table, some, runs, expected=expected)
        results["tables"][table] = {name: one.summary() for name, one in found.items()}


def _with_kept(results: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the results together with the other parts' of an earlier time on this machine."""
    file = options.results / "latest.json"
    if options.only is None or not file.exists():
        return results
    earlier = json.loads(file.read_text())
    if options.only == "mariadb":  # it names its own machine
        return {**earlier, "mariadb": results["mariadb"]}
    if earlier["machine"] != results["machine"]:
        return results
    if options.only != "tables":
        return {**earlier, options.only: results[options.only]}
    return {**earlier, **results}


def _write(results: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    (folder / "latest.md").write_text(render(results))
    print(f"\nwritten: {folder / 'latest.md'}")


def _kernel() -> str:
    done = subprocess.run(
        [sys.executable, "-c", _KERNEL], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or f"unknown ({done.stderr.strip().splitlines()[-1]})"


def _machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo").read_text()
    models = [line.split(":", 1)[1].strip() for line in info.splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "memory_gb": round(memory / 2**30),
        "python": platform.python_version(),
    }


def _versions() -> dict[str, str]:
    script = (
        "from importlib.metadata import version as v\n"
        "print(v('pyrivet'), 'with', ', '.join(f'{n} {v(n)}' for n in ('psycopg', 'pyarrow')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {
        "rivet": done.stdout.strip(),
        **{name: ", ".join(what) for name, what in REQUIREMENTS.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
