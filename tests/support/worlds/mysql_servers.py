"""Worlds of MySQL and MariaDB servers: a replica, writers who do not log, grants, a real MySQL."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from support import clusters, mysqlserver, roles, servers
from support.databases import MariaDatabase, MariaServer
from support.worlds.mariadb import TABLE, driver, maria_world, the_server
from support.worlds.world import ROWS, World, literals, rows, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _database(made: World) -> MariaDatabase:
    parts = urlsplit(made.source["url"])
    server = the_server()
    name = parts.path[1:]
    return MariaDatabase(made.source["url"], f"{server.admin_url}/{name}", name, server.home)


@world("mysql", "writers who do not log")
@contextmanager
def _unlogged(_: Any) -> Iterator[World]:
    """Whoever writes has `sql_log_bin` off, so that places in the log tell nothing."""
    with maria_world(after="ANALYZE TABLE t") as made:
        made.ask("SET sql_log_bin = 0")
        yield made


@world("mysql", "grants on columns")
@contextmanager
def _granted(_: Any) -> Iterator[World]:
    with ExitStack() as stack:
        made = stack.enter_context(maria_world(after="ANALYZE TABLE t"))
        database = _database(made)
        user = stack.enter_context(roles.mariadb_user(database))
        shown = ("id", "code", "grp", "day", "seen")
        made.ask(f"GRANT SELECT ({', '.join(shown)}) ON t TO {user}")
        made.source = {**made.source, "url": roles.url_as(made.source["url"], user)}
        made.export = {"table": "t", "include": list(shown)}
        made.columns = shown
        made.selected = f"SELECT {', '.join(shown)} FROM t"
        yield made


def _replica_of(primary: MariaServer) -> MariaServer:
    binary = clusters.mariadb_binary()
    if binary is None or primary.home is None:
        servers.missing("mysql")
        raise AssertionError
    settings = {"server-id": "3", "log-slave-updates": "0", "innodb-buffer-pool-size": "32M"}
    running = servers.start_once(
        servers.own("mariadbreplicaworld"),
        lambda folder: clusters.start_mariadb(binary, folder, settings=settings),
    )
    return MariaServer(running.url, running.admin_url, Path(running.home))


@world("mysql", "a replica")
@contextmanager
def _replica(_: Any) -> Iterator[World]:
    """It does not log what it applies, as replicas of MariaDB do not unless told to."""
    primary, copy = the_server(), _replica_of(the_server())
    word = clusters.PASSWORD.replace("'", "''")
    with primary.fresh_database() as found, ExitStack() as stack:
        write = stack.enter_context(driver(found.admin_url))
        copied = stack.enter_context(driver(f"{copy.admin_url}/mysql"))
        ((file, offset, *_rest),) = write("SHOW MASTER STATUS")
        copied(
            f"CREATE DATABASE {found.name};;USE {found.name};;"
            f"SET GLOBAL replicate_do_db = '{found.name}';;"
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_USER='{clusters.ADMIN}',"
            f" MASTER_PORT={urlsplit(primary.admin_url).port}, MASTER_PASSWORD='{word}',"
            f" MASTER_LOG_FILE='{file}', MASTER_LOG_POS={offset};;START SLAVE"
        )
        stack.callback(copied, f"STOP SLAVE;;RESET SLAVE ALL;;DROP DATABASE {found.name}")

        def add(first: int, count: int) -> None:
            values = literals(rows(first, count, made.code_of)).replace("\\", "\\\\")
            write(f"INSERT INTO t VALUES {values}")
            _until(lambda: copied("SELECT count(*) FROM t") == write("SELECT count(*) FROM t"))

        write(TABLE)
        _until(lambda: copied("SHOW TABLES") == [("t",)])
        source = {"type": "mysql", "tls": {"mode": "disable"}}
        made = World({**source, "url": f"{copy.url}/{found.name}"}, write, add=add)
        made.grow(ROWS)
        yield made


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "the replica does not catch up"
        time.sleep(0.05)


_MYSQL9 = TABLE.replace("DEFAULT '2024-01-01'", "")


@world("mysql", "a real MySQL")
def _mysql9(_: Any) -> Any:
    return maria_world(_MYSQL9, server=mysqlserver.own_mysql, after="ANALYZE TABLE t")


@world("mysql", "a real MySQL, keys in cp932")
def _mysql9_texts(_: Any) -> Any:
    table = _MYSQL9.replace("code varchar(40)", "code varchar(40) CHARACTER SET cp932")
    return maria_world(
        table,
        server=mysqlserver.own_mysql,
        code_of=lambda n: f"{'あ表ソ漢'[n % 4]}{n * 7919 % 100_003}",
    )


@world("mysql", "a real MySQL that remembers nineteen rows")
def _mysql9_stale(_: Any) -> Any:
    """Statistics in information_schema are kept for a day."""
    return maria_world(
        f"{_MYSQL9} STATS_PERSISTENT=1 STATS_AUTO_RECALC=0;;INSERT INTO t VALUES"
        " (900001, 'x', 1, '2024-01-01', '2024-01-01', 1, '');;ANALYZE TABLE t;;"
        "SELECT table_rows FROM information_schema.tables WHERE table_name = 't';;DELETE FROM t",
        server=mysqlserver.own_mysql,
    )
