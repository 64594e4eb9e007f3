"""Where drawn cases live: one database per engine that is filled anew for each."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import psycopg

from support import roles, servers
from support.worlds.drawn import NAMES
from support.worlds.mariadb import driver
from support.worlds.postgres import NEWEST
from support.worlds.world import Row, World, literals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.databases import MariaDatabase, PostgresDatabase
    from support.worlds.drawn import Drawn
    from support.worlds.world import Ask

_MOVE = (
    "UPDATE t SET id = {new}, grp = {grp}, code = '{letter}{new}', day = '2024-{month:02}-03'"
    " WHERE tok = {tok}"
)


class Place(Protocol):
    """A database under drawn cases."""

    def fill(self, case: Drawn) -> World:
        """Set it up as a case is drawn."""
        ...


def move_of(number: int, tok: int) -> str:
    """Return a statement that moves a row to other keys; no row comes or goes."""
    return _MOVE.format(
        new=30_000_000 + number,
        grp=number % 7,
        letter="az0"[number % 3],
        month=number % 12 + 1,
        tok=tok,
    )


def _columns(case: Drawn, *, clock: str, code: str) -> str:
    traits = case.traits
    key = {"primary": "NOT NULL PRIMARY KEY", "unique": "UNIQUE", "none": ""}[traits["key"]]
    unique = "NOT NULL UNIQUE" if traits["code_key"] else ""
    return (
        f"tok integer NOT NULL, id {traits['id_type']} {key}, code {code} {unique}, grp integer,"
        f" day date, seen {clock}, amount integer"
    )


def _statements(case: Drawn, create: str, analyze: str, *, zone: str, slash: str) -> list[str]:
    traits = case.traits
    made = [create]
    if traits["analyzed"] == "before":
        made.append(analyze)
    if case.rows:
        values = literals(case.rows, zone=zone).replace("\\", slash)
        made.append(f"INSERT INTO t VALUES {values}")
    if traits["holes"]:
        made.append("DELETE FROM t WHERE tok % 4 = 1")
    if traits["view"]:
        made.append("CREATE VIEW v AS SELECT * FROM t")
    if traits["analyzed"] == "after":
        made.append(analyze)
    return made


def _world(case: Drawn, source: dict[str, Any], ask: Any, *, zone: str, **options: Any) -> World:
    def add(_first: int, _count: int) -> None:
        ask(f"INSERT INTO t VALUES {literals(case.late, zone=zone)}")

    return World(
        source,
        ask,
        export={"table": "v" if case.traits["view"] else "t"},
        columns=NAMES,
        selected=f"SELECT {', '.join(NAMES)} FROM t",
        add=add,
        **options,
    )


class _Postgres:
    def __init__(
        self, found: PostgresDatabase, connection: psycopg.Connection[Any], reader: str
    ) -> None:
        self._name, self._connection, self._admin = found.name, connection, found.admin_url
        self._reader, url = reader, roles.url_as(found.url, reader)
        self._source = {"type": "postgresql", "url": url, "tls": {"mode": "disable"}}

    def _ask(self, statement: str) -> list[Row]:
        cursor = self._connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def fill(self, case: Drawn) -> World:
        role = f"ALTER ROLE {self._reader} IN DATABASE {self._name}"
        chosen = "".join(f"; {role} SET {name} = {v}" for name, v in case.settings.items())
        collation = "" if case.traits["folded"] else 'COLLATE "C"'
        columns = _columns(case, clock="timestamptz NOT NULL", code=f"varchar(60) {collation}")
        create = f"CREATE TABLE t ({columns}) WITH (autovacuum_enabled = off)"
        filled = "; ".join(_statements(case, create, "ANALYZE t", zone="+00", slash="\\"))
        self._ask(f"DROP TABLE IF EXISTS t CASCADE; {role} RESET ALL{chosen}; {filled}")
        self._ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {self._reader}")
        return _world(case, self._source, self._ask, zone="+00", other=self._other)

    @contextmanager
    def _other(self) -> Iterator[Ask]:
        with psycopg.connect(self._admin, autocommit=True) as connection:

            def ask(statement: str) -> list[Row]:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

            yield ask


@contextmanager
def postgres_place(_: Path) -> Iterator[Place]:
    """A database of the newest PostgreSQL: a superuser writes, and who reads sees everybody."""
    with (
        servers._postgres_server(NEWEST).fresh_database() as found,
        roles.postgres_role(found) as reader,
        found.connect(admin=True) as connection,
    ):
        connection.execute("SET client_min_messages = error")
        connection.execute(f"GRANT pg_read_all_stats TO {reader}".encode())
        yield _Postgres(found, connection, reader)


class _Maria:
    def __init__(self, found: MariaDatabase, ask: Ask) -> None:
        self._ask = ask
        self._other = partial(driver, found.admin_url)
        self._source = {"type": "mysql", "url": found.url, "tls": {"mode": "disable"}}
        self._before: dict[str, str] = {}

    def fill(self, case: Drawn) -> World:
        self.restore()
        for name, value in case.settings.items():
            ((self._before[name],),) = self._ask(f"SELECT @@GLOBAL.{name}")
            self._ask(f"SET GLOBAL {name} = {value}")
        charset = case.traits["charset"] or "utf8mb4"
        collation = f"COLLATE {charset}_bin" if not case.traits["folded"] else ""
        code = f"varchar(60) CHARACTER SET {charset} {collation}"
        clock = "timestamp(6) NOT NULL DEFAULT '2024-01-01'"
        clock = clock if case.traits.get("zoned") else "datetime(6) NOT NULL"
        create = f"CREATE TABLE t ({_columns(case, clock=clock, code=code)})"
        self._ask("DROP VIEW IF EXISTS v;;DROP TABLE IF EXISTS t")
        for statement in _statements(case, create, "ANALYZE TABLE t", zone="", slash="\\\\"):
            self._ask(statement)
        return _world(case, self._source, self._ask, zone="", other=self._other)

    def restore(self) -> None:
        for name, value in self._before.items():
            spelled = value if str(value).isdigit() else f"'{value}'"
            self._ask(f"SET GLOBAL {name} = {spelled}")
        self._before.clear()


@contextmanager
def mariadb_place(_: Path) -> Iterator[Place]:
    """A database of this worker's MariaDB, as settings are global; they are put back."""
    with (
        servers.lone_mariadb_server().fresh_database() as found,
        driver(found.admin_url) as ask,
    ):
        place = _Maria(found, ask)
        try:
            yield place
        finally:
            place.restore()


_SQLITE_FORMS = {
    "day": lambda v: None if v is None else dt.date.fromisoformat(v),
    "seen": dt.datetime.fromisoformat,
}


class _Sqlite:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, case: Drawn) -> World:
        path = self._folder / "s.db"
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(f"s.db{suffix}").unlink(missing_ok=True)

        def ask(statement: str) -> list[Row]:
            with closing(sqlite3.connect(path)) as connection, connection:
                return connection.execute(statement).fetchall()

        code = f"varchar(60) {'COLLATE NOCASE' if case.traits['folded'] else ''}"
        create = f"CREATE TABLE t ({_columns(case, clock='timestamp NOT NULL', code=code)})"
        with closing(sqlite3.connect(path)) as connection:
            for name, value in sorted(case.settings.items(), reverse=True):  # page_size first
                connection.execute(f"PRAGMA {name} = {value}")
            connection.execute("PRAGMA synchronous = off")
            for statement in _statements(case, create, "ANALYZE", zone="", slash="\\"):
                connection.execute(statement)
            connection.commit()
        source = {"type": "sqlite", "url": f"sqlite:///{path}"}
        return _world(case, source, ask, zone="", forms=_SQLITE_FORMS)


@contextmanager
def sqlite_place(folder: Path) -> Iterator[Place]:
    """A file that is made anew for each case."""
    yield _Sqlite(folder)


class _Duck:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "s.duckdb"

    def fill(self, case: Drawn) -> World:
        with suppress(FileNotFoundError):
            self._path.unlink()

        def ask(statement: str) -> list[Row]:
            with duckdb.connect(str(self._path)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                return connection.execute(statement).fetchall()

        columns = _columns(case, clock="timestamptz NOT NULL", code="varchar")
        filled = _statements(case, f"CREATE TABLE t ({columns})", "ANALYZE", zone="+00", slash="\\")
        ask("; ".join(filled))
        return _world(case, {"type": "duckdb", "path": str(self._path)}, ask, zone="+00")


@contextmanager
def duckdb_place(folder: Path) -> Iterator[Place]:
    """A file that is made anew for each case."""
    yield _Duck(folder)


PLACES = {
    "postgresql": postgres_place,
    "mysql": mariadb_place,
    "sqlite": sqlite_place,
    "duckdb": duckdb_place,
}
