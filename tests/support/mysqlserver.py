"""Pytest plugin: a real MySQL, run from the files that `scripts/install_mysql` fetched.

    mysql9                a fresh database on MySQL, which serves TLS as well; `home/ca.crt`
    shared_mysql9         as `mysql9`, one database per test module

It is not a server of the system, and is started with its own loader and libraries. A server of your
own is used instead where `RIVET_TEST_MYSQL_URL` holds a superuser's URL. Where there is none the
test is skipped, or fails if `RIVET_TEST_REQUIRE` names `mysql9`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pymysql
import pytest

from support import clusters
from support.databases import MariaDatabase, MariaServer
from support.servers import missing, own, start_once

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).parents[2] / ".venv" / "mysql"
_NAME: Final = "mysql9"
_START_TIMEOUT_S: Final = 2 * clusters.START_TIMEOUT_S

# What must not change a value that is read: a session that forgets to pin one shows it here.
_SETTINGS: Final = {
    "mysqlx": "0",
    "innodb-buffer-pool-size": "32M",
    "innodb-redo-log-capacity": "16M",
    "innodb-flush-log-at-trx-commit": "0",
    "performance-schema-instrument": "%=OFF",
    "sync-binlog": "0",
    "default-time-zone": "+05:30",
    "sql-mode": "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
    "lc-time-names": "de_DE",
    "gtid-mode": "ON",
    "enforce-gtid-consistency": "ON",
}


def mysql_root() -> Path | None:
    """Return the directory that holds MySQL's files, or None."""
    return _ROOT if (_ROOT / "usr/sbin/mysqld").exists() else None


def start_mysql(
    root: Path, directory: Path, settings: dict[str, str] | None = None
) -> clusters.Running:
    """Make a MySQL server with a binary log below `directory`; about ten seconds.

    It serves TLS as well, with a fresh authority in `<home>/ca.crt`.

    Args:
        root: A directory of `mysql_root`.
        directory: An empty directory of the caller; server and JSON file live in it.
        settings: Options that come before the usual ones.

    Raises:
        StartError: The server did not come up.
    """
    home = clusters._private_home(directory)
    root = _reachable(root, home)
    scratch, log, start_file = home / "tmp", home / "log", home / "start.sql"
    scratch.mkdir()
    clusters._own(scratch)
    program = _program(root, home)
    clusters._run([*program, "--initialize-insecure"], home)
    quoted = clusters.PASSWORD.replace("'", "''")
    start_file.write_text(
        "".join(
            f"CREATE USER IF NOT EXISTS '{name}'@'%' IDENTIFIED BY '{quoted}';\n"
            f"GRANT ALL ON *.* TO '{name}'@'%' WITH GRANT OPTION;\n"
            for name in (clusters.ADMIN, clusters.ROLE)
        )
    )
    clusters._own(start_file)
    port, user = clusters.free_port(), clusters.server_user()
    certificate, key = clusters.make_certificates(home)
    chosen = {**_SETTINGS, **(settings or {}), "ssl-cert": str(certificate), "ssl-key": str(key)}
    command: list[Any] = [*program, f"--port={port}", f"--bind-address={clusters.HOST}"]
    command += [f"--socket={home / 'socket'}", f"--init-file={start_file}"]
    command += [f"--{name}={value}" for name, value in chosen.items()]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=output,
            cwd=home,
            start_new_session=True,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
    clusters._STARTED.append(process)
    running = clusters.Running(
        name=directory.name,
        version="",
        url=clusters._url("mysql", clusters.ROLE, port),
        admin_url=clusters._url("mysql", clusters.ADMIN, port),
        port=port,
        pid=process.pid,
        stop_signal=signal.SIGKILL,
        home=str(home),
    )
    clusters._publish(running, directory)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while f"port: {port}" not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            (directory / "running.json").unlink()
            raise clusters.StartError(clusters._tail("mysqld did not start", log))
        time.sleep(0.05)
    for name in (clusters.ADMIN, clusters.ROLE):
        # Over TLS, so that the server has their digests: without it none is sent but those.
        password = clusters.PASSWORD.encode()
        pymysql.connect(host=clusters.HOST, port=port, user=name, password=password).close()
    return running


def _program(root: Path, home: Path) -> list[Any]:
    """Return the command that every start shares: nothing of the system's files is read."""
    loader = next((root / "usr/lib").glob("*/ld-linux*.so.*"))
    share = root / "usr/share/mysql"
    return [
        *(loader, "--library-path", loader.parent, root / "usr/sbin/mysqld", "--no-defaults"),
        f"--basedir={root / 'usr'}",
        f"--datadir={home / 'data'}",
        f"--tmpdir={home / 'tmp'}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
        "--secure-file-priv=NULL",
    ]


def _reachable(root: Path, home: Path) -> Path:
    """Return `root`, or a copy where the server's user cannot go there."""
    if clusters._run(["test", "-r", root / "usr/sbin/mysqld"], home, check=False) == 0:
        return root
    return Path(shutil.copytree(root, home / "program", symlinks=True))


def own_mysql() -> MariaServer:
    """Return the MySQL of this worker: a window depends on the transactions of all the server."""
    root = mysql_root()
    if root is None:
        missing(_NAME)
        raise AssertionError
    running = start_once(own(_NAME), lambda directory: start_mysql(root, directory))
    return MariaServer(running.url, running.admin_url, Path(running.home))


@pytest.fixture(scope="session")
def mysql9_server() -> MariaServer:
    if url := os.environ.get("RIVET_TEST_MYSQL_URL"):
        return MariaServer(url, url)
    return own_mysql()


@pytest.fixture
def mysql9(mysql9_server: MariaServer) -> Iterator[MariaDatabase]:
    with mysql9_server.fresh_database() as database:
        yield database


@pytest.fixture(scope="module")
def shared_mysql9(mysql9_server: MariaServer) -> Iterator[MariaDatabase]:
    with mysql9_server.fresh_database() as database:
        yield database
