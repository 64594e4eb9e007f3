"""Worlds of PostgreSQL: settings of roles and of the environment, encodings, keys, statistics."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from support import servers
from support.worlds.shadows import SHADOWS
from support.worlds.world import NAMES, ROWS, Columns, World, literals, rows, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.databases import PostgresDatabase

NEWEST = max(servers._VERSIONS, default=None)
OLDEST = min(servers._VERSIONS, default=None)
TABLE = (
    "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, code varchar(40) NOT NULL UNIQUE, grp integer,"
    " day date, seen timestamptz NOT NULL, price numeric(10,2), note text)"
)


@contextmanager
def postgres_world(
    create: str = TABLE,
    *,
    version: int | None = NEWEST,
    database: str = "",
    before: str = "",
    after: str = "",
    admin: str = "",
    count: int = ROWS,
    **options: Any,
) -> Iterator[World]:
    """Make a database with a table `t` and its rows.

    Args:
        database: Options of CREATE DATABASE.
        before: Statements of a superuser before the table is made.
        after: Statements of the owner after it is filled.
        admin: Statements of a superuser at the end; `{database}` is its name.
    """
    server = servers._postgres_server(version)
    with server.fresh_database(database) as found:
        if before:
            found.execute(before, admin=True)
        with closing(found.connect()) as connection:
            connection.execute(create.encode())
            yield_from = _filled(found, connection, count, options)
            if after:
                connection.execute(after.encode())
            if admin:
                found.execute(admin.replace("{database}", found.name), admin=True)
            yield yield_from


def _filled(
    found: PostgresDatabase,
    connection: psycopg.Connection[Any],
    count: int,
    options: dict[str, Any],
) -> World:
    encoding = connection.info.encoding

    def ask(statement: str) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.encode(encoding))
        return cursor.fetchall() if cursor.description else []

    def add(first: int, count: int) -> None:
        names = ", ".join(NAMES)
        values = literals(rows(first, count, made.code_of), zone="+00")
        ask(f"INSERT INTO t ({names}) VALUES {values}")

    source = {"type": "postgresql", "url": found.url, "tls": {"mode": "disable"}}
    made = World(source, ask, **{"add": add, **options})
    made.grow(count)
    return made


def _both(name: str, **options: Any) -> Callable[[Callable[[int | None], Any]], Any]:
    """Register a world on the oldest and on the newest PostgreSQL there is."""

    def keep(make: Callable[[int | None], Any]) -> Any:
        world("postgresql", name, **options)(lambda _: make(NEWEST))
        if OLDEST != NEWEST:
            world("postgresql", f"{name}, oldest server", **options)(lambda _: make(OLDEST))
        return make

    return keep


@_both("plain")
def _plain(version: int | None) -> Any:
    return postgres_world(version=version, after="ANALYZE t")


_ROLE = {
    "TimeZone": "America/St_Johns",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "row_security": "off",
    "statement_timeout": "1h",
    "lock_timeout": "1h",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "default_transaction_read_only": "on",
    "search_path": "elsewhere, public",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "xmloption": "document",
    "enable_seqscan": "off",
    "enable_indexscan": "off",
    "client_encoding": "LATIN1",
    "max_parallel_workers_per_gather": "4",
    "parallel_setup_cost": "0",
    "min_parallel_table_scan_size": "0",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "cursor_tuple_fraction": "1",
    "jit": "off",  # scans that are off cost so much that every question would be compiled
}


@world("postgresql", "a role with settings of its own")
def _role(_: Any) -> Any:
    settings = "".join(
        f"ALTER ROLE rivet IN DATABASE {{database}} SET {name} = {value!r};".replace(
            "'elsewhere, public'", "elsewhere, public"
        )
        for name, value in _ROLE.items()
    )
    shadow = "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t (id int); "
    return postgres_world(
        after="ANALYZE t",
        admin=f"{shadow} GRANT USAGE ON SCHEMA elsewhere TO rivet; {settings}",
        export={"table": "public.t"},
    )


@world("postgresql", "a search_path before pg_catalog")
def _shadows(_: Any) -> Any:
    return postgres_world(after="ANALYZE t", admin=SHADOWS, export={"table": "public.t"})


@world("postgresql", "settings in the environment")
def _environment(_: Any) -> Any:
    options = "-c timezone=Asia/Tokyo -c datestyle=German -c array_nulls=off -c enable_sort=off"
    return postgres_world(
        after="ANALYZE t",
        environment={
            "PGTZ": "Pacific/Chatham",
            "PGDATESTYLE": "SQL, DMY",
            "PGCLIENTENCODING": "LATIN1",
            "PGOPTIONS": f"{options} -c extra_float_digits=-3 -c intervalstyle=sql_standard",
            "PGAPPNAME": "somebody",
        },
    )


@world("postgresql", "statistics of nineteen rows")
def _stale(_: Any) -> Any:
    return postgres_world(
        f"{TABLE} WITH (autovacuum_enabled = off);"
        "INSERT INTO t SELECT g, 'x' || g, 1, '2024-01-01', '2024-01-01', 1, '' FROM"
        " generate_series(900001, 900019) g; ANALYZE t; DELETE FROM t"
    )


@world("postgresql", "statistics of rows that are gone")
def _bloat(_: Any) -> Any:
    return postgres_world(
        f"{TABLE} WITH (autovacuum_enabled = off);"
        "INSERT INTO t SELECT g, 'x' || g, 1, '2024-01-01', '2024-01-01', 1, repeat('x', 90) FROM"
        " generate_series(900001, 930000) g; ANALYZE t; DELETE FROM t"
    )


@world("postgresql", "SQL_ASCII")
def _ascii(_: Any) -> Any:
    def decoded(value: Any) -> Any:
        return value.decode() if isinstance(value, bytes) else value

    return postgres_world(
        database="ENCODING 'SQL_ASCII' TEMPLATE template0",
        after="ANALYZE t",
        code_of=lambda n: f"k{n * 7919 % 100_003:06}",
        forms={"code": decoded, "note": decoded},
    )


@world("postgresql", "LATIN1")
def _latin(_: Any) -> Any:
    return postgres_world(
        database="ENCODING 'LATIN1' TEMPLATE template0",
        after="ANALYZE t",
        code_of=lambda n: f"{'éÿÄa¿'[n % 5]}{n * 7919 % 100_003}",
    )


@world("postgresql", "keys under a domain")
def _domains(_: Any) -> Any:
    table = TABLE.replace("id bigint", "id number").replace("code varchar(40)", "code word")
    return postgres_world(
        f'CREATE DOMAIN number AS bigint; CREATE DOMAIN word AS text COLLATE "C"; {table}',
        after="ANALYZE t",
    )


@world("postgresql", "keys of numeric and char(n)")
def _padded(_: Any) -> Any:
    table = TABLE.replace("id bigint", "id numeric(18,0)")
    table = table.replace("code varchar(40)", "code char(20)")
    return postgres_world(table, after="ANALYZE t")


_NO_CUT = dict.fromkeys(("by itself", "resume by itself"), "RIVET_PLAN_UNSUPPORTED")


@world("postgresql", "a view", has=Columns(key=None, page=None), refused=_NO_CUT)
def _view(_: Any) -> Any:
    return postgres_world(
        after="CREATE VIEW v AS SELECT * FROM t WHERE id IS NOT NULL", export={"table": "v"}
    )


@world(
    "postgresql",
    "a query",
    has=Columns(key=None, page=None),
    without=("by itself", "resume by itself"),
)
def _query(_: Any) -> Any:
    return postgres_world(export={"query": "SELECT * FROM t -- all of it\n;"}, after="ANALYZE t")


@world("postgresql", "partitions", has=Columns(key=None))
def _partitions(_: Any) -> Any:
    """Parts whose columns lie in another order, one that had more, and one for the rest."""
    plain = "grp integer, note text, gone int, id bigint NOT NULL, seen timestamptz NOT NULL,"
    return postgres_world(
        TABLE.replace("code varchar(40) NOT NULL UNIQUE", "code varchar(40) NOT NULL")
        + " PARTITION BY RANGE (id);"
        " CREATE TABLE low PARTITION OF t FOR VALUES FROM (MINVALUE) TO (0);"
        f" CREATE TABLE mid ({plain} price numeric(10,2), day date, code varchar(40) NOT NULL);"
        " ALTER TABLE mid DROP COLUMN gone;"
        " ALTER TABLE t ATTACH PARTITION mid FOR VALUES FROM (0) TO (5000);"
        " CREATE TABLE rest PARTITION OF t DEFAULT",
        after="ANALYZE t",
    )


@contextmanager
def _scanners(url: str) -> Iterator[None]:
    """Somebody who reads the table over and over, so that scans begin anywhere."""
    stop = threading.Event()

    def scan() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                with connection.transaction(), connection.cursor("scan") as cursor:
                    cursor.execute("SELECT note FROM t")
                    while not stop.is_set() and cursor.fetchmany(700):
                        pass

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@world(
    "postgresql",
    "a large table that others scan",
    without=("range", "cursor", "window", "resume by key", "three by key", "days"),
)
@contextmanager
def _large(_: Any) -> Iterator[World]:
    """More than a quarter of shared_buffers: scans join one another where they are."""
    with postgres_world(
        f"{TABLE} WITH (autovacuum_enabled = off)",
        after="ALTER TABLE t ALTER note SET STORAGE PLAIN; UPDATE t SET note = repeat('x', 1900)"
        " WHERE id % 3 = 0; INSERT INTO t SELECT g, 'x' || g, g % 7, '2024-01-01', '2023-01-01', 1,"
        " repeat('y', 1900) FROM generate_series(-1009000, -1000001) g; ANALYZE t",
        count=600,
    ) as made:
        made.around = lambda: _scanners(made.source["url"])
        yield made
