"""Worlds of the engines that read a file: SQLite and DuckDB."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from support.worlds.world import ROWS, Columns, World, literals, rows, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_CUT = dict.fromkeys(("by itself", "resume by itself"), "RIVET_PLAN_UNSUPPORTED")
_SQLITE_FORMS = {
    "day": lambda v: None if v is None else dt.date.fromisoformat(v),
    "seen": dt.datetime.fromisoformat,
    "price": lambda v: None if v is None else Decimal(str(v)).quantize(Decimal("0.01")),
}
_SQLITE_TABLE = (
    "CREATE TABLE t (id integer PRIMARY KEY, code varchar(40) NOT NULL UNIQUE, grp integer,"
    " day date, seen timestamp NOT NULL, price decimal(10,2), note text)"
)


def sqlite_world(path: Path, create: str = _SQLITE_TABLE, **options: Any) -> World:
    """Make a file with a table `t` and its rows."""

    def ask(statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchall()

    def add(first: int, count: int) -> None:
        ask(f"INSERT INTO t VALUES {literals(rows(first, count, made.code_of))}")

    for statement in create.split(";"):
        ask(statement)
    source = {"type": "sqlite", "url": f"sqlite:///{path}"}
    made = World(source, ask, **{"forms": _SQLITE_FORMS, "add": add, **options})
    made.grow(ROWS)
    return made


@world("sqlite", "plain")
@contextmanager
def _plain(folder: Path) -> Iterator[World]:
    yield sqlite_world(folder / "s.db")


@world("sqlite", "a key that descends", has=Columns(number=None, page=None))
@contextmanager
def _descending(folder: Path) -> Iterator[World]:
    """`INTEGER PRIMARY KEY DESC` is no rowid alias, and holds NULLs."""
    made = sqlite_world(folder / "s.db", _SQLITE_TABLE.replace("PRIMARY KEY", "PRIMARY KEY DESC"))
    made.ask("UPDATE t SET id = NULL WHERE id % 5 = 0")
    yield made


@world("sqlite", "a key that descends is the cursor", has=Columns(key=None, page=None))
@contextmanager
def _descending_cursor(folder: Path) -> Iterator[World]:
    made = sqlite_world(folder / "s.db", _SQLITE_TABLE.replace("PRIMARY KEY", "PRIMARY KEY DESC"))
    made.ask("UPDATE t SET id = NULL WHERE id % 5 = 0")
    yield made


@world("sqlite", "keys without case")
@contextmanager
def _nocase(folder: Path) -> Iterator[World]:
    """Texts that differ in case only, under a column that ignores case and one that does not."""
    table = _SQLITE_TABLE.replace("code varchar(40)", "code varchar(40) COLLATE NOCASE")
    yield sqlite_world(folder / "s.db", table, code_of=lambda n: f"{'kK'[n % 2]}ey{n:05}É")


@world("sqlite", "without rowid")
@contextmanager
def _without_rowid(folder: Path) -> Iterator[World]:
    table = _SQLITE_TABLE.replace("id integer PRIMARY KEY", "id integer NOT NULL UNIQUE")
    table = table.replace("NOT NULL UNIQUE, grp", "PRIMARY KEY, grp")
    yield sqlite_world(folder / "s.db", table + " WITHOUT ROWID")


@world("sqlite", "no key at all", has=Columns(key=None, page=None), refused=NO_CUT)
@contextmanager
def _no_key(folder: Path) -> Iterator[World]:
    table = _SQLITE_TABLE.replace(" PRIMARY KEY", "").replace(" NOT NULL UNIQUE", "")
    yield sqlite_world(folder / "s.db", table)


@world("sqlite", "UTF-16 and huge numbers")
@contextmanager
def _utf16(folder: Path) -> Iterator[World]:
    made = sqlite_world(
        folder / "s.db",
        f"PRAGMA encoding = 'UTF-16le'; {_SQLITE_TABLE}",
        code_of=lambda n: f"{chr(0x1F600 + n % 50)}{n}",
    )
    made.ask("UPDATE t SET id = -1000000 WHERE id = -1000")
    yield made


@world("sqlite", "a log beside a file in a folder that is read-only")
@contextmanager
def _read_only_folder(folder: Path) -> Iterator[World]:
    """WAL, with rows that are in the log only, and a writer in the middle of something."""
    made = sqlite_world(folder / "s.db", f"PRAGMA journal_mode = wal; {_SQLITE_TABLE}")
    with closing(sqlite3.connect(folder / "s.db")) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("UPDATE t SET note = 'in the log' WHERE id % 3 = 0")
        writer.commit()
        folder.chmod(0o555)
        made.add = None
        yield made
        folder.chmod(0o755)


@world("sqlite", "a column of mixed types")
@contextmanager
def _mixed(folder: Path) -> Iterator[World]:
    """Declared as text, holding numbers and bytes: SQLite keeps what it is given."""
    forms = {**_SQLITE_FORMS, "note": lambda v: None if v is None else str(v)}
    made = sqlite_world(folder / "s.db", _SQLITE_TABLE.replace("note text", "note"), forms=forms)
    made.ask("UPDATE t SET note = id WHERE id % 5 = 0")
    made.ask("UPDATE t SET note = id / 7.0 WHERE id % 5 = 1")
    yield made


_DUCKDB_TABLE = (
    "CREATE TABLE t (id bigint PRIMARY KEY, code varchar NOT NULL UNIQUE, grp integer,"
    " day date, seen timestamptz NOT NULL, price decimal(10,2), note varchar)"
)


def duckdb_world(path: Path, create: str = _DUCKDB_TABLE, **options: Any) -> World:
    """Make a DuckDB file with a table `t` and its rows."""

    def ask(statement: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(statement).fetchall()

    def add(first: int, count: int) -> None:
        ask(f"INSERT INTO t VALUES {literals(rows(first, count, made.code_of), zone='+00')}")

    ask(create)
    source = {"type": "duckdb", "path": str(path)}
    made = World(source, ask, **{"add": add, **options})
    made.grow(ROWS)
    return made


@world("duckdb", "plain")
@contextmanager
def _duckdb_plain(folder: Path) -> Iterator[World]:
    yield duckdb_world(folder / "s.duckdb")


@world("duckdb", "no index", has=Columns(key=None, page=None), refused=NO_CUT)
@contextmanager
def _duckdb_loose(folder: Path) -> Iterator[World]:
    table = _DUCKDB_TABLE.replace(" PRIMARY KEY", "").replace(" NOT NULL UNIQUE", "")
    made = duckdb_world(folder / "s.duckdb", table)
    made.ask("DELETE FROM t WHERE id % 3 = 0")
    yield made


@world("duckdb", "wide", has=Columns(key=None))
@contextmanager
def _duckdb_wide(folder: Path) -> Iterator[World]:
    """Four hundred columns beside the usual ones."""
    more = [f"c{n}" for n in range(400)]
    made = duckdb_world(folder / "s.duckdb")
    made.ask(
        "CREATE TABLE wide AS SELECT *, "
        + ", ".join(f"id * {n} AS {name}" for n, name in enumerate(more))
        + " FROM t WHERE id % 4 = 0; ALTER TABLE wide ADD PRIMARY KEY (id)"
    )
    made.export = {"table": "wide"}
    made.columns = (*made.columns, *more)
    made.selected = f"SELECT {', '.join(made.columns)} FROM wide"
    made.add = None
    yield made


_LESS = ("key", "resume by key", "three by key", "days", "keyset", "cursor", "range")


@world("duckdb", "long", without=_LESS)
@contextmanager
def _duckdb_long(folder: Path) -> Iterator[World]:
    """Several row groups, with holes."""
    made = duckdb_world(folder / "s.duckdb")
    made.ask(
        "INSERT INTO t SELECT 1000000 + g, 'x' || g, g % 7, date '2024-01-01' + CAST(g % 60 AS"
        " int), timestamptz '2023-01-01 00:00:00+00' + INTERVAL (g) SECOND, g / 4, repeat('y', 90)"
        " FROM range(0, 40000, 2) r(g); DELETE FROM t WHERE id BETWEEN 1002000 AND 1030000"
    )
    made.add = None
    yield made
