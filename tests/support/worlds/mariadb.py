"""Worlds of MariaDB: parser modes, character sets of keys, tables without transactions, grants."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pymysql

from support import servers
from support.worlds.world import NAMES, ROWS, Columns, World, literals, rows, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.databases import MariaDatabase, MariaServer

TABLE = (
    "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, code varchar(40) NOT NULL UNIQUE, grp integer,"
    " day date, seen timestamp(6) NOT NULL DEFAULT '2024-01-01', price decimal(10,2), note text)"
)


def the_server() -> MariaServer:
    """Return the server of this worker."""
    return servers.lone_mariadb_server()


@contextmanager
def driver(url: str) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Statements by PyMySQL, in UTC and with plain modes, whatever the server's own are."""
    parts = urlsplit(url)
    with closing(
        pymysql.connect(
            host=parts.hostname,
            port=parts.port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or "").encode(),
            database=parts.path[1:],
            charset="utf8mb4",
            autocommit=True,
            init_command="SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'",
        )
    ) as connection:

        def ask(statements: str) -> list[tuple[Any, ...]]:
            found: list[tuple[Any, ...]] = []
            with connection.cursor() as cursor:
                for statement in statements.split(";;"):
                    cursor.execute(statement)
                    found = list(cursor.fetchall())
            return found

        yield ask


@contextmanager
def maria_world(
    create: str = TABLE,
    *,
    after: str = "",
    is_still: bool = False,
    count: int = ROWS,
    server: Callable[[], MariaServer] = the_server,
    **options: Any,
) -> Iterator[World]:
    """Make a database with a table `t` and its rows; statements end with `;;`."""
    with server().fresh_database() as found, driver(found.admin_url) as ask:
        ask(create)
        yield _filled(found, ask, count, after, is_still, options)


def _filled(
    found: MariaDatabase,
    ask: Callable[[str], list[tuple[Any, ...]]],
    count: int,
    after: str,
    is_still: bool,
    options: dict[str, Any],
) -> World:
    def add(first: int, count: int) -> None:
        names = ", ".join(NAMES)
        values = literals(rows(first, count, made.code_of)).replace("\\", "\\\\")
        ask(f"INSERT INTO t ({names}) VALUES {values}")

    source = {"type": "mysql", "url": found.url, "tls": {"mode": "disable"}}
    made = World(source, ask, **{"add": add, **options})
    made.grow(count)
    if after:
        ask(after.replace("{database}", found.name))
    made.add = None if is_still else made.add
    return made


@world("mysql", "plain")
def _plain(_: Any) -> Any:
    """A server with ANSI_QUOTES, PIPES_AS_CONCAT and NO_BACKSLASH_ESCAPES."""
    return maria_world(after="ANALYZE TABLE t")


@world("mysql", "a server in ORACLE mode", without=("full", "slices", "one statement", "window"))
@contextmanager
def _oracle(_: Any) -> Iterator[World]:
    """Modes are the whole server's, for no longer than a run: a world is kept for many tests."""
    with maria_world() as made:
        made.around = lambda: _mode(made.ask, "ORACLE")
        yield made


@world("mysql", "a transaction that stays open", is_for_lines=True)
@contextmanager
def _staying(_: Any) -> Iterator[World]:
    with maria_world(f"CREATE TABLE u (id int);;{TABLE}") as made:
        made.around = lambda: _written(made)
        yield made


@contextmanager
def _written(made: World) -> Iterator[None]:
    made.ask("BEGIN;;INSERT INTO u VALUES (1)")
    try:
        yield
    finally:
        made.ask("ROLLBACK")


@contextmanager
def _mode(ask: Callable[[str], list[tuple[Any, ...]]], name: str) -> Iterator[None]:
    ((before,),) = ask("SELECT @@GLOBAL.sql_mode")
    ask(f"SET GLOBAL sql_mode = '{name}'")
    try:
        yield
    finally:
        ask(f"SET GLOBAL sql_mode = '{before}'")


_LETTERS = {
    "latin1": "éÿÄa¿ß",
    "cp932": "あ表ソ漢｡ｱ",
    "greek": "δΩήbςΆ",
    "ucs2": "é漢aßΩж",
    "gbk": "漢字表a誠乗",
    "utf8mb4": "é漢a😀Ωж",
}


def _charset(charset: str) -> Any:
    letters = _LETTERS[charset]
    table = TABLE.replace("code varchar(40)", f"code varchar(40) CHARACTER SET {charset}")
    return maria_world(
        table,
        after="ANALYZE TABLE t",
        code_of=lambda n: f"{letters[n % 5]}{letters[n // 5 % 6]}{n * 7919 % 100_003}",
    )


_NUMBERED = ("one statement", "range", "days", "window")
# A charset changes how texts are compared and sent: what goes by other columns is the same in all.
_ALSO_NUMBERED = ("count", "three by range", "three by group", "moving", "cursor", "clock", "dense")
_EVERY_WAY = {"latin1", "cp932", "greek", "ucs2"}
for _name in _LETTERS:
    world(
        "mysql",
        f"keys in {_name}",
        without=_NUMBERED if _name in _EVERY_WAY else _NUMBERED + _ALSO_NUMBERED,
    )(lambda _, name=_name: _charset(name))


@world("mysql", "a character that Unicode lacks", is_for_lines=True)
def _unmapped(_: Any) -> Any:
    return maria_world(
        TABLE.replace("note text", "note text CHARACTER SET cp1251"),
        after="UPDATE t SET note = CONVERT(x'98' USING cp1251) ORDER BY id LIMIT 1",
        selected=f"SELECT {', '.join(NAMES[:-1])}, CAST(note AS BINARY) FROM t",
    )


def _kept(engine: str) -> Any:
    return maria_world(f"{TABLE} ENGINE={engine}", after="ANALYZE TABLE t")


for _name in ("MyISAM", "Aria"):
    world("mysql", f"tables of {_name}")(lambda _, name=_name: _kept(name))


@world("mysql", "keys that ignore case and accents")
def _folded(_: Any) -> Any:
    table = TABLE.replace("code varchar(40)", "code varchar(40) COLLATE utf8mb4_unicode_ci")
    return maria_world(
        table, after="ANALYZE TABLE t", code_of=lambda n: f"{'éEÊß'[n % 4]}{n * 7919 % 100_003}"
    )


@world("mysql", "keys in a binary collation, padded")
def _padded(_: Any) -> Any:
    table = TABLE.replace("code varchar(40)", "code char(40) COLLATE utf8mb4_nopad_bin")
    return maria_world(table, code_of=lambda n: f"{'aAé'[n % 3]}{n * 7919 % 100_003}")


@world("mysql", "statistics of nineteen rows")
def _stale(_: Any) -> Any:
    return maria_world(
        f"{TABLE} STATS_PERSISTENT=1 STATS_AUTO_RECALC=0;;INSERT INTO t SELECT seq + 900000, seq,"
        " 1, '2024-01-01', '2024-01-01', 1, '' FROM seq_1_to_19;;ANALYZE TABLE t;;DELETE FROM t"
    )


@world("mysql", "unsigned numbers near the end")
def _unsigned(_: Any) -> Any:
    return maria_world(
        TABLE.replace("seen timestamp(6)", "seen datetime(6)"),
        after="UPDATE t SET id = id + 2000;;ALTER TABLE t MODIFY id bigint unsigned NOT NULL;;"
        "UPDATE t SET id = id + 18446744073709000000 ORDER BY id DESC;;ANALYZE TABLE t",
        is_still=True,
    )


@world("mysql", "partitions by hash", has=Columns(key=None))
def _partitions(_: Any) -> Any:
    table = TABLE.replace("NOT NULL UNIQUE", "NOT NULL")
    return maria_world(f"{table} PARTITION BY HASH (id) PARTITIONS 5", after="ANALYZE TABLE t")


@world("mysql", "a history of versions")
def _versions(_: Any) -> Any:
    return maria_world(
        f"{TABLE} WITH SYSTEM VERSIONING", after="DELETE FROM t WHERE id % 9 = 0;;ANALYZE TABLE t"
    )


@world("mysql", "a key that is not shown", has=Columns(number=None, page=None))
def _invisible(_: Any) -> Any:
    """Columns that `SELECT *` leaves out, the key among them: they are no part of the table."""
    shown = NAMES[1:]
    return maria_world(
        TABLE.replace("id bigint NOT NULL", "id bigint NOT NULL DEFAULT 0 INVISIBLE"),
        columns=shown,
        selected=f"SELECT {', '.join(shown)} FROM t",
    )


_NO_CUT = dict.fromkeys(("by itself", "resume by itself"), "RIVET_PLAN_UNSUPPORTED")


@world("mysql", "a view", has=Columns(key=None, page=None), refused=_NO_CUT)
def _view(_: Any) -> Any:
    return maria_world(
        after="CREATE VIEW v AS SELECT * FROM t WHERE id IS NOT NULL", export={"table": "v"}
    )
