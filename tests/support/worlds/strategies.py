"""Every way to export a table, and what must be in the files afterwards."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb

import rivet
from support.worlds.world import Columns, plain, spelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.worlds.world import Row, Spec, World

LATE = 40
_ALL = 36_500  # days


@dataclass
class Case:
    """One export of one world, in a folder of its own.

    Attributes:
        top: Keys of the configuration beside source and exports.
        spoken: What the last run said of itself: warnings, and the guarantee.
    """

    world: World
    folder: Path
    keys: dict[str, Any]
    top: dict[str, Any] = field(default_factory=dict)
    reports: list[Any] = field(default_factory=list)

    def run(self, *, fault: str = "", **options: Any) -> Any:
        """Run the export in this process; return its report, also of a failure."""
        export = {
            "name": "t",
            "format": "parquet",
            "destination": {"type": "local", "path": "out"},
            **self.world.export,
            **self.keys,
        }
        if "query" in self.keys:
            export.pop("table", None)
        tuning = {"max_retries": 0, "retry_backoff_ms": 1, **self.world.export.get("tuning", {})}
        export["tuning"] = {**tuning, **self.keys.get("tuning", {})}
        config = self.folder / "rivet.yaml"
        body = {"source": self.world.source, "exports": [export], **self.top}
        config.write_text(json.dumps(body))
        around = self.world.around() if self.world.around else nullcontext()
        with around, _variables({**self.world.environment, "RIVET_FAULT": fault}):
            (report,) = rivet.run(config, check=False, **options).exports
        self.reports.append(report)
        return report

    def published(self) -> list[Row]:
        """Return the rows a reader of the manifest of the last run has, read by DuckDB."""
        if self.reports[-1].status == "skipped":
            return []
        manifest = json.loads((self.folder / "out" / "manifest.json").read_text())
        files = [str(self.folder / "out" / part["path"]) for part in manifest["parts"]]
        if not files:
            return []
        names = ", ".join(f'"{name}"' for name in self.world.columns)
        found = _reader().execute(f"SELECT {names} FROM read_parquet({files})").fetchall()
        assert len(found) == manifest["row_count"] == sum(p["rows"] for p in manifest["parts"])
        return spelled(found, [plain] * len(self.world.columns))


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
    return connection


class _variables:  # noqa: N801 - used as a function
    def __init__(self, wanted: dict[str, str]) -> None:
        self._wanted = {name: value for name, value in wanted.items() if value}
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._wanted}
        os.environ.update(self._wanted)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def same(found: list[Row], expected: list[Row]) -> str:
    """Return what differs between two multisets of rows; nothing where they are equal."""
    have, want = Counter(found), Counter(expected)
    lost, more = want - have, have - want
    if not lost and not more:
        return ""
    seen = {row[0] for row in expected}
    doubled = sum(1 for row in more if row in want)
    return (
        f"{len(found)} rows instead of {len(expected)}: {lost.total()} lost, {more.total()} more"
        f" ({doubled} kinds doubled, {sum(row[0] not in seen for row in more)} unknown keys);"
        f" lost {list(lost)[:2]}, more {list(more)[:2]}"
    )


class WrongRows(AssertionError):  # noqa: N818 - it says what is wrong
    """Files and source differ, or a run said what is not so."""


def succeed(report: Any) -> None:
    """Raise `Refused` for a run that failed."""
    if not report.is_success:
        raise Refused(report.failure.code, report.failure.message)


class Refused(Exception):  # noqa: N818 - it is an outcome
    """The run was refused, with the code of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def _expect(case: Case, found: list[Row], expected: list[Row]) -> None:
    if difference := same(found, expected):
        said = [case.reports[-1].guarantee, *case.reports[-1].warnings]
        raise WrongRows(f"{difference}; said: {said}")


def once(case: Case) -> None:
    """One run has every row once."""
    succeed(case.run(validate=True))
    _expect(case, case.published(), case.world.rows_of_source())


def counted(case: Case) -> None:
    """One run, counted against the source as well."""
    report = case.run(reconcile=True)
    succeed(report)
    expected = case.world.rows_of_source()
    _expect(case, case.published(), expected)
    if report.reconciled != (len(expected), len(expected)):
        raise WrongRows(f"reconciled {report.reconciled} of {len(expected)}")


def twice(case: Case) -> None:
    """Two runs and the rows that came between: together every row once; a third has none."""
    succeed(case.run())
    found = case.published()
    if case.world.add is not None:
        case.world.grow(LATE)
        succeed(case.run())
        found += case.published()
    _expect(case, found, case.world.rows_of_source())
    report = case.run()
    succeed(report)
    if report.rows:
        raise WrongRows(f"a run with nothing new read {report.rows} rows")


def windowed(case: Case) -> None:
    """A window over all times has every row that has a time."""
    succeed(case.run())
    at = case.world.columns.index(case.keys["time_column"])
    expected = [row for row in case.world.rows_of_source() if row[at] is not None]
    _expect(case, case.published(), expected)


def resumed(case: Case) -> None:
    """A run that fails after its second part, and goes on."""
    report = case.run(fault="error@part_recorded:1")
    if report.is_success:
        assert len(report.files) < 2
    elif report.failure.message != "a fault hook raised this error":
        succeed(report)
    succeed(case.run(resume=not report.is_success))
    _expect(case, case.published(), case.world.rows_of_source())


def moving(case: Case) -> None:
    """Rows get other keys between chunks: what is called one instant has each of them once."""
    ask, moved = case.world.ask, dict[int, tuple[int, str]]()
    keys = ask("SELECT id, code FROM t WHERE id IS NOT NULL")
    names = case.world.columns
    kept = [n for n, name in enumerate(names) if name not in {"id", "code"}]
    before = Counter(tuple(row[n] for n in kept) for row in case.world.rows_of_source())
    alone = threading.Lock()  # chunks end on threads of their own

    def move(event: Any) -> None:
        if event.type != "chunk_completed":
            return
        with alone:
            for _ in range(3):
                new = 90_000_000 + len(moved)
                moved[new] = keys[len(moved) * 7919 % len(keys)]
                ask(f"UPDATE t SET id = {new}, code = 'k{new}' WHERE id = {moved[new][0]}")

    try:
        report = case.run(on_event=move)
    finally:
        for new, (old, code) in moved.items():
            text = code.decode() if isinstance(code, bytes) else code
            ask(f"UPDATE t SET id = {old}, code = '{text}' WHERE id = {new}")
    succeed(report)
    if report.instants <= 1 and not report.not_covered:
        found = Counter(tuple(row[n] for n in kept) for row in case.published())
        if found != before:
            lost, more = (before - found).total(), (found - before).total()
            raise WrongRows(f"one instant, and {lost} rows lost, {more} doubled")


@dataclass(frozen=True)
class Strategy:
    """One way to export.

    Attributes:
        keys: Keys of the export by the columns a world has; None where it lacks one.
        act: Runs and judges.
        engines: Where it is; empty is everywhere.
    """

    keys: Callable[[Columns], dict[str, Any] | None]
    act: Callable[[Case], None] = once
    engines: frozenset[str] = frozenset()

    def goes_with(self, spec: Spec) -> bool:
        """Whether a world has what this way needs."""
        return (not self.engines or spec.engine in self.engines) and self.keys(spec.has) is not None


def _full(_: Columns, **more: Any) -> dict[str, Any]:
    return {"mode": "full", **more}


def _chunked(column: str | None, **keys: Any) -> dict[str, Any] | None:
    if column is None:
        return None
    named = "chunk_by_key" if keys.pop("by_key", False) else "chunk_column"
    return {"mode": "chunked", named: column, **keys}


def _cursor(column: str | None, **keys: Any) -> dict[str, Any] | None:
    return None if column is None else {"mode": "incremental", "cursor_column": column, **keys}


def _days(column: str | None) -> dict[str, Any] | None:
    if column is None:
        return None
    return {"mode": "time_window", "time_column": column, "days_window": _ALL}


_SLICES = {"max_statement_s": 0.0005, "batch_size": 100}
STRATEGIES: dict[str, Strategy] = {
    "full": Strategy(_full, counted),
    "slices": Strategy(lambda c: _full(c, tuning=_SLICES)),
    "one statement": Strategy(lambda c: _full(c, tuning={"max_statement_s": 0})),
    "range": Strategy(lambda c: _chunked(c.number, chunk_size=900), counted),
    "count": Strategy(lambda c: _chunked(c.number, chunk_count=5, tuning=_SLICES)),
    "key": Strategy(lambda c: _chunked(c.key, by_key=True, chunk_size=150, tuning=_SLICES)),
    "dense": Strategy(lambda c: _chunked(c.group, chunk_dense=True, chunk_size=110)),
    "days": Strategy(lambda c: _chunked(c.day, chunk_by_days=7)),
    "by itself": Strategy(lambda c: {"mode": "chunked", "chunk_count": 6}),
    "resume by key": Strategy(lambda c: _chunked(c.key, by_key=True, chunk_size=150), resumed),
    "resume by itself": Strategy(
        lambda c: {"mode": "chunked", "chunk_count": 6, "parallel": 3}, resumed
    ),
    "three by range": Strategy(lambda c: _chunked(c.number, chunk_count=7, parallel=3)),
    "three by key": Strategy(
        lambda c: _chunked(c.key, by_key=True, chunk_size=100, parallel=3), counted
    ),
    "three by group": Strategy(
        lambda c: _chunked(c.group, chunk_dense=True, chunk_size=90, parallel=3)
    ),
    "moving": Strategy(
        lambda c: _chunked(c.number if c.key else None, chunk_count=8, parallel=3),
        moving,
        frozenset({"postgresql", "mysql"}),
    ),
    "keyset": Strategy(
        lambda c: _chunked(c.page, by_key=True, chunk_size=150, keyset_incremental=True), twice
    ),
    "cursor": Strategy(lambda c: _cursor(c.number), twice),
    "clock": Strategy(lambda c: _cursor(c.clock), twice),
    "window": Strategy(lambda c: _days(c.day), windowed),
}


def pairs(worlds: dict[str, Spec]) -> list[tuple[str, str]]:
    """Return every strategy of every world that has what it needs."""
    return [
        (name, strategy)
        for name, spec in worlds.items()
        for strategy, way in STRATEGIES.items()
        if strategy not in spec.without and not spec.is_for_lines and way.goes_with(spec)
    ]


def attempt(world: World, spec: Spec, strategy: str, folder: Path) -> None:
    """Run one strategy in one world and judge it.

    Raises:
        WrongRows: The files differ from the source, a refusal is not the expected one, or the run
            succeeds where it was to be refused.
    """
    way = STRATEGIES[strategy]
    keys = way.keys(spec.has)
    assert keys is not None
    case = Case(world, folder, keys)
    expected = spec.refused.get(strategy)
    try:
        way.act(case)
    except Refused as refusal:
        if refusal.code != expected:
            raise WrongRows(f"refused: {refusal}") from refusal
        return
    if expected is not None:
        raise WrongRows(f"it was not refused with {expected}")
