"""Large tables: slices and chunks against one long statement, side by side, over a slow way.

What is asked of the server is looked at from its own side: the longest statement that a watcher
sees in its list of activity, and the blocks that its statistics count for a table.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self

import psycopg  # noqa: TID253 - it watches the server

from bench.cases import Case, own_environment
from bench.environments import environment
from bench.slow_network import slow_network
from bench.suite import run_table
from bench.verdict import Verdict, at_least, at_most, paired_ratio, ratio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from bench.environments import Environment
    from bench.fixture import Fixture

_LONGEST_S = 0.75
_CHUNKS = 8
_CLOSE = ("slices", "one", "chunks-2")
_CLOSE_FACTOR = 10
_WATCH_S = 0.02
_LONGEST = """
    SELECT max(extract(epoch FROM clock_timestamp() - query_start))::float
    FROM pg_stat_activity WHERE application_name = 'rivet' AND state = 'active'"""
_BY_UUID = (
    "CREATE TABLE by_uuid AS SELECT gen_random_uuid() AS key, * FROM lineitem",
    "ALTER TABLE by_uuid ADD PRIMARY KEY (key)",
    "VACUUM ANALYZE by_uuid",
)
_BLOCKS = """
    SELECT heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)
    FROM pg_statio_user_tables WHERE relname = 'by_uuid'"""


def _command(
    own: Environment, engine: str, tuning: dict[str, Any] | None = None, **keys: object
) -> Callable[[str, str, Path], list[str]]:
    """Return how a run with these keys of the export is asked for."""

    def command(url: str, table: str, folder: Path) -> list[str]:
        export = {
            "name": table,
            "table": table,
            "mode": "full",
            "format": "parquet",
            "compression": "zstd",
            "destination": {"type": "local", "path": str(folder / "out" / table)},
            **keys,
        }
        source: dict[str, Any] = {"type": engine, "url": url}
        if tuning:
            source["tuning"] = tuning
        config = folder / "rivet.yaml"
        config.write_text(json.dumps({"source": source, "exports": [export]}))
        return [own.program("rivet"), "run", "-c", str(config)]

    return command


def chunk_cases() -> list[Case]:
    """Return every case; makes the environment of the reference where it is missing."""
    own, reference = own_environment(), environment("reference")
    chunked = {"mode": "chunked", "chunk_column": "id", "chunk_count": _CHUNKS}
    two = {**chunked, "chunk_count": 2, "parallel": 2}
    return [
        Case("slices", "Rivet, as it comes", _command(own, "postgresql")),
        Case("one", "Rivet, one statement", _command(own, "postgresql", {"max_statement_s": 0})),
        Case("fast", "Rivet, profile fast", _command(own, "postgresql", {"profile": "fast"})),
        Case("chunks-1", "Rivet, 8 chunks, one by one", _command(own, "postgresql", **chunked)),
        Case(
            "chunks-2",
            "Rivet, 8 chunks, two at a time",
            _command(own, "postgresql", **chunked, parallel=2),
        ),
        Case(
            "reference-2",
            "rivet-cli, two parallel chunks, profile fast",
            _command(reference, "postgres", {"profile": "fast"}, **two),
            problem=reference.problem,
        ),
    ]


class Watcher:
    """Looks at a server's list of activity while something runs, as a context manager."""

    def __init__(self, url: str) -> None:
        self.longest_s = 0.0
        self._connection = psycopg.connect(url, autocommit=True)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._connection.close()

    def _watch(self) -> None:
        while not self._stopped.wait(_WATCH_S):
            row = self._connection.execute(_LONGEST).fetchone()
            self.longest_s = max(self.longest_s, float(row[0] or 0) if row else 0.0)


def measure_chunks(server: Fixture, runs: int, names: list[str] | None) -> dict[str, Any]:
    """Measure every case on `lineitem`, chunks over a slow way, and blocks by a random key."""
    rows = server.rows["lineitem"]
    cases = [case for case in chunk_cases() if not names or case.name in names]
    found = run_table(server, "lineitem", cases, runs, expected=rows)
    results: dict[str, Any] = {
        "runs": runs,
        "cases": {name: one.summary() for name, one in found.items()},
    }
    by_name = {case.name: case for case in cases}
    if "slices" in by_name:
        with Watcher(server.url) as watcher:
            run_table(server, "lineitem", [by_name["slices"]], 1, expected=rows)
        results["longest_s"] = round(watcher.longest_s, 3)
    close = [by_name[name] for name in _CLOSE if name in by_name]
    if len(close) > 1:
        # Their limits are nearer to each other than the runs of a virtual machine are.
        found = run_table(server, "lineitem", close, _CLOSE_FACTOR * runs, expected=rows)
        results["close"] = {name: one.summary() for name, one in found.items()}
    pair = [by_name[name] for name in ("chunks-1", "chunks-2") if name in by_name]
    if pair:
        with slow_network(server) as slow:
            over = run_table(slow.fixture, "lineitem", pair, runs, expected=rows)
        results["slow"] = {name: one.summary() for name, one in over.items()}
    if not names or "uuid" in names:
        results["uuid"] = _blocks(server, rows)
    return results


def _blocks(server: Fixture, rows: int) -> dict[str, Any]:
    """Count the blocks of a table with a random key: one scan, and an export of chunks."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in _BY_UUID:
            connection.execute(statement)
    counts = [_settled(server)]
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute("SELECT count(*), max(id) FROM by_uuid")
    counts.append(_settled(server))
    case = Case("uuid", "chunks", _command(own_environment(), "postgresql", mode="chunked"))
    one = run_table(server, "by_uuid", [case], 1, expected=rows)
    counts.append(_settled(server))
    scan, both = counts[1] - counts[0], counts[2] - counts[1]
    runs = len(one["uuid"].costs) + 1  # one more is not timed
    return {"scan_blocks": scan, "export_blocks": both / runs, "ratio": both / runs / scan}


def _settled(server: Fixture) -> int:
    """Return the blocks that are counted once everybody's statistics have come in."""
    before = -1
    while True:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SELECT pg_sleep(1.5)")
            row = connection.execute(_BLOCKS).fetchone()
        now = int(row[0]) if row else 0
        if now == before:
            return now
        before = now


def chunk_verdicts(results: dict[str, Any]) -> list[Verdict]:
    """Judge the targets of large tables."""
    cases, slow = results.get("cases", {}), results.get("slow", {})
    close, longest = results.get("close", {}), results.get("longest_s")
    uuid = results.get("uuid", {})
    return [
        Verdict(
            "slices: longest statement that the server sees at most 0.75 s",
            "" if longest is None else f"{longest:.2f} s",
            None if longest is None else longest <= _LONGEST_S,
        ),
        at_most(
            "slices: at most 1.05 times one statement", paired_ratio(close, "slices", "one"), 1.05
        ),
        at_most("default profile: at most 1.2 times fast", ratio(cases, "slices", "fast"), 1.2),
        at_most("two chunks at a time: not slower", paired_ratio(close, "chunks-2", "slices"), 1.0),
        at_least(
            "two chunks at a time over a slow way: 1.7 times as fast",
            ratio(slow, "chunks-1", "chunks-2"),
            1.7,
        ),
        at_least(
            "two chunks at a time: 1.5 times as fast as the reference's two",
            ratio(cases, "reference-2", "chunks-2"),
            1.5,
        ),
        at_most("a random key: at most 1.1 times the blocks of a scan", uuid.get("ratio"), 1.1),
    ]
