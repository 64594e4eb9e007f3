"""Sessions of MySQL and MariaDB that are said to be of one instant see the same rows.

The worlds are those in which the binary log tells less than the server commits; in each a user may
or may not see InnoDB's transactions and may or may not hold up writers.
"""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pymysql
import pytest

from rivet.errors import SourceQueryError
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.mysql import connect
from support import clusters
from support.asking import value_of
from support.databases import MariaServer
from support.followed import Followed
from support.proxy import Proxy
from support.servers import held, missing, start_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.databases import MariaDatabase

pytestmark = pytest.mark.live("mysql")

ROUNDS = 25
SEE, HOLD, LOG = "PROCESS", "RELOAD", "REPLICATION CLIENT"


def driver(url: str) -> pymysql.Connection:
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/"),
        autocommit=True,
    )


@contextmanager
def writing(url: str, *, unlogged: bool) -> Iterator[None]:
    """Commit one row after another, on two connections."""
    stop = threading.Event()

    def write(row: int) -> None:
        with closing(driver(url)) as connection, connection.cursor() as cursor:
            if unlogged:
                cursor.execute("SET sql_log_bin = 0")
            while not stop.is_set():
                cursor.execute("UPDATE c SET n = n + 1 WHERE id = %s", (row,))
                time.sleep(0.0005)

    threads = [threading.Thread(target=write, args=(row,)) for row in (1, 2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def user(database: MariaDatabase, *rights: str) -> Iterator[str]:
    """Make a user who may read, and whatever else; yields a URL."""
    name, parts = f"u_{uuid.uuid4().hex[:8]}", urlsplit(database.admin_url)
    grants = "".join(f"GRANT {right} ON *.* TO {name};" for right in rights)
    database.execute(
        f"CREATE USER {name} IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO {name}; {grants}"
    )
    yield f"mysql://{name}:x@127.0.0.1:{parts.port}/{database.name}"
    database.execute(f"DROP USER {name}")


def outcomes(url: str) -> dict[str, int]:
    """Begin four sessions again and again; count what was said of them, and what was false."""
    counted = dict.fromkeys(("proven", "doubted", "refused", "false"), 0)
    address = SourceAddress("mysql", url=Secret(url))
    relation = Relation(table="c")
    with ExitStack() as stack:
        first, *others = [
            stack.enter_context(connect(address, SessionSettings())) for _ in range(4)
        ]
        for _ in range(ROUNDS):
            try:
                first.begin(relation, others)
            except SourceQueryError:
                counted["refused"] += 1
                continue
            sums = {value_of(one, "SELECT sum(n) FROM c") for one in (first, *others)}
            is_doubted = first.unproven(relation) is not None
            counted["doubted" if is_doubted else "proven"] += 1
            counted["false"] += len(sums) > 1 and not is_doubted
            for one in (first, *others):
                one.release()
    assert not counted["false"], counted
    return counted


def filled(database: MariaDatabase) -> MariaDatabase:
    database.execute(
        "CREATE TABLE c (id int PRIMARY KEY, n bigint) ENGINE=InnoDB;"
        "INSERT INTO c VALUES (1, 0), (2, 0)"
    )
    return database


@pytest.mark.parametrize("fixture", ["mariadb", "mysql9"])
def test_sessions_that_write_without_logging_are_noticed(request, fixture):
    database = filled(request.getfixturevalue(fixture))
    with writing(database.admin_url, unlogged=True):
        for rights, said in (
            ((SEE, HOLD), "proven"),
            ((HOLD,), "proven"),
            ((LOG,), "doubted" if fixture == "mariadb" else "refused"),
            ((), "refused"),
        ):
            with user(database, *rights) as url:
                assert outcomes(url)[said] == ROUNDS, rights
    with user(database, SEE) as url:  # nobody writes: that is seen, and nothing is locked
        assert outcomes(url)["proven"] == ROUNDS


@pytest.fixture
def replica(mariadb_server: MariaServer) -> Iterator[tuple[MariaDatabase, MariaDatabase]]:
    """A database on a primary, and on a replica that does not log what it applies."""
    binary = clusters.mariadb_binary()
    if binary is None or mariadb_server.home is None:
        missing("mysql")
        raise AssertionError
    settings = {"server-id": "2", "binlog-ignore-db": "ignored", "log-slave-updates": "0"}
    running = start_once(
        "mariadbreplica",
        lambda folder: clusters.start_mariadb(binary, folder, settings=settings),
    )
    server = MariaServer(running.url, running.admin_url, Path(running.home))
    with held("mariadbreplica"), mariadb_server.fresh_database() as primary:
        copy = type(primary)(
            server.url + f"/{primary.name}", server.admin_url + f"/{primary.name}", primary.name
        )
        root = type(primary)(server.url, server.admin_url + "/mysql", "mysql")
        ((file, offset, *_),) = primary.execute("SHOW MASTER STATUS")
        password = clusters.PASSWORD.replace("'", "''")
        root.execute(
            f"CREATE DATABASE {primary.name}; SET GLOBAL replicate_do_db = '{primary.name}';"
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_USER='{clusters.ADMIN}',"
            f" MASTER_PORT={urlsplit(mariadb_server.url).port}, MASTER_PASSWORD='{password}',"
            f" MASTER_LOG_FILE='{file}', MASTER_LOG_POS={offset}; START SLAVE"
        )
        yield primary, copy
        root.execute(f"STOP SLAVE; RESET SLAVE ALL; DROP DATABASE {primary.name}")


def test_equal_places_in_the_log_of_a_replica_or_a_filtered_one_prove_nothing(replica):
    primary, copy = replica
    filled(primary)
    deadline = time.monotonic() + 60
    while copy.execute("SHOW TABLES") != [("c",)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with writing(primary.admin_url, unlogged=False):
        for rights, said in (((SEE, HOLD), "proven"), ((LOG,), "refused"), ((), "refused")):
            with user(copy, *rights) as url:
                assert outcomes(url)[said] == ROUNDS, rights
    root = type(copy)(copy.url, copy.admin_url.replace(copy.name, "mysql"), "mysql")
    root.execute("STOP SLAVE; RESET SLAVE ALL; CREATE DATABASE ignored")
    urls = (one.replace(copy.name, "ignored") for one in (copy.url, copy.admin_url))
    ignored = filled(type(copy)(*urls, "ignored"))
    try:
        with writing(ignored.admin_url, unlogged=False):
            for rights, said in (((HOLD,), "proven"), ((LOG,), "refused")):
                with user(ignored, *rights) as url:
                    assert outcomes(url)[said] == ROUNDS, rights
    finally:
        root.execute("DROP DATABASE ignored")


def test_a_log_of_some_databases_alone_proves_nothing(mariadb_server: MariaServer):
    binary = clusters.mariadb_binary()
    if binary is None or mariadb_server.home is None:
        missing("mysql")
        raise AssertionError
    settings = {"server-id": "3", "binlog-do-db": "other"}
    running = start_once(
        "mariadbsome",
        lambda folder: clusters.start_mariadb(binary, folder, settings=settings),
    )
    server = MariaServer(running.url, running.admin_url, Path(running.home))
    with server.fresh_database() as database:
        filled(database)
        with writing(database.admin_url, unlogged=False):
            for rights, said in (((HOLD,), "proven"), ((LOG,), "refused")):
                with user(database, *rights) as url:
                    assert outcomes(url)[said] == ROUNDS, rights


def test_sessions_on_several_servers_are_of_no_one_instant(replica):
    """Whatever passes connections on may do so to a server and to its replica."""
    primary, copy = replica
    filled(primary)
    deadline = time.monotonic() + 60
    while copy.execute("SHOW TABLES") != [("c",)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ports = [urlsplit(one.url).port for one in (primary, copy)]
    relation = Relation(table="c")
    with Proxy("127.0.0.1", ports[0]) as proxy, ExitStack() as stack:
        url = Secret(proxy.rewrite(primary.url))
        address = SourceAddress("mysql", url=url)
        first = stack.enter_context(connect(address, SessionSettings()))
        second = stack.enter_context(connect(address, SessionSettings()))
        first.begin(relation, [second])
        assert first.unproven(relation) is None
        first.release()
        second.release()
        proxy.target = ("127.0.0.1", ports[1])
        other = stack.enter_context(connect(address, SessionSettings()))
        with pytest.raises(SourceQueryError, match="on 2 servers"):
            first.begin(relation, [second, other])
        first.begin(relation)  # alone it has an instant


def test_a_log_of_everything_is_trusted_as_far_as_it_goes(mariadb):
    """Without the right to look or to hold, sessions are at one place, and it says what that is."""
    filled(mariadb)
    with writing(mariadb.admin_url, unlogged=False), user(mariadb, LOG) as url:
        found = outcomes(url)
        assert (found["doubted"] + found["refused"], found["doubted"] > 0) == (ROUNDS, True)


def test_a_window_of_a_replica_is_never_complete(replica, tmp_path):
    primary, copy = replica
    followed = Followed("mysql", primary, tmp_path)
    followed.url = copy.url
    primary.execute("INSERT INTO t VALUES (1, '2024-05-01')")
    deadline = time.monotonic() + 60
    while ("t",) not in copy.execute("SHOW TABLES") or not copy.execute("SELECT id FROM t"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for keys in ({}, {"settle": {"after": "10m"}}):
        followed.keys = keys
        guarantee = str(followed.run().guarantee)
        assert guarantee.startswith("not guaranteed: the server is a replica")
    followed.keys = {"strict_cursor": True}
    assert "read from the primary" in followed.refused()
