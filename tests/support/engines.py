"""Pytest plugin: `engine`, a fresh database of every engine in the registry.

A new engine needs one row in `SETUPS`; `tests/house` fails until it has one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from rivet.sources import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class EngineUnderTest:
    """One database: how a configuration names it, and how a test fills and asks it."""

    name: str
    source: dict[str, Any]  # the `source:` block
    execute: Callable[[str], list[tuple[Any, ...]]]  # runs statements; rows of the last


def _sqlite(request: pytest.FixtureRequest) -> EngineUnderTest:
    tmp_path: Path = request.getfixturevalue("tmp_path")
    path = tmp_path / "source.db"

    def execute(statements: str) -> list[tuple[Any, ...]]:
        *before, last = [part for part in statements.split(";") if part.strip()]
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in before:
                connection.execute(statement)
            return connection.execute(last).fetchall()

    return EngineUnderTest("sqlite", {"type": "sqlite", "url": f"sqlite:///{path}"}, execute)


def _postgresql(request: pytest.FixtureRequest) -> EngineUnderTest:
    database = request.getfixturevalue("any_postgres")
    source = {"type": "postgresql", "url": database.url, "tls": {"mode": "disable"}}
    return EngineUnderTest("postgresql", source, database.execute)


def _mysql(request: pytest.FixtureRequest) -> EngineUnderTest:
    database = request.getfixturevalue("mariadb")
    source = {"type": "mysql", "url": database.url, "tls": {"mode": "disable"}}
    return EngineUnderTest("mysql", source, database.execute)


def _duckdb(request: pytest.FixtureRequest) -> EngineUnderTest:
    tmp_path: Path = request.getfixturevalue("tmp_path")
    path = tmp_path / "source.duckdb"

    def execute(statements: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(path)) as connection:
            return connection.execute(statements).fetchall()

    return EngineUnderTest("duckdb", {"type": "duckdb", "path": str(path)}, execute)


SETUPS: dict[str, Callable[[pytest.FixtureRequest], EngineUnderTest]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mysql": _mysql,
    "duckdb": _duckdb,
}


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    return SETUPS[request.param](request)
