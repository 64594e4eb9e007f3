"""Pytest plugin: real PostgreSQL and MariaDB servers, started when a test first asks.

    postgres              a fresh database, on the oldest and the newest PostgreSQL found (ids pg15,
                          pg18), and in `make soak` on those between
    any_postgres          a fresh database on the newest PostgreSQL
    shared_postgres       as `postgres`, one database per test module
    shared_any_postgres   as `any_postgres`, one database per test module
    tls_postgres          a fresh database on a PostgreSQL that serves TLS as well; `home/ca.crt`
    mariadb               a fresh database on MariaDB
    shared_mariadb        as `mariadb`, one database per test module
    tls_mariadb           a fresh database on a MariaDB that serves TLS as well; `home/ca.crt`
    lone_mariadb          a fresh database on a MariaDB of this run, never one of your own: for what
                          sets global variables

One run of pytest has one set of servers, shared by its xdist workers. Of MariaDB and MySQL each
worker has its own: they tell a window of the transactions of the whole server, other tests' too.
A server of your own is used instead where `RIVET_TEST_POSTGRESQL_<major>_URL` or
`RIVET_TEST_MARIADB_URL` holds a superuser's URL. Where a server is missing the test is skipped, or
fails if `RIVET_TEST_REQUIRE` (comma-separated) names its engine.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from support import clusters
from support.databases import MariaDatabase, MariaServer, PostgresDatabase, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIRECTORY_VARIABLE: Final = "RIVET_TEST_SERVERS_DIRECTORY"
_DISK: Final = "/tmp"  # a socket path is short
_MEMORY: Final = "/dev/shm"
_ROOM: Final = 10 << 30
_KEEPER: Final = pytest.StashKey["subprocess.Popen[bytes]"]()
_POSTGRES: Final = clusters.postgres_binaries()
_POSTGRES_URLS: Final = {
    int(name.split("_")[3]): url
    for name, url in os.environ.items()
    if name.startswith("RIVET_TEST_POSTGRESQL_") and name.endswith("_URL")
}
_VERSIONS: Final = sorted({*_POSTGRES, *_POSTGRES_URLS})
_BETWEEN: Final = _VERSIONS[1:-1]


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    root = _root()
    directory = tempfile.mkdtemp(prefix="rivet-", dir=root)
    Path(directory).chmod(0o755)
    os.environ[_DIRECTORY_VARIABLE] = directory
    if root != _DISK:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", directory)
    config.stash[_KEEPER] = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("keeper.py"), directory],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def _root() -> str:
    """Return where servers and the tests' own files lie: in memory where there is room.

    Exports, states and servers wait for the disk thousands of times; nothing is looked at after a
    crash of the machine. `--basetemp` keeps the files of the tests where you say.
    """
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return _DISK
    free = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available)
    is_plain = not found.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
    return _MEMORY if is_plain and free >= _ROOM and os.access(_MEMORY, os.W_OK) else _DISK


def pytest_unconfigure(config: pytest.Config) -> None:
    keeper = config.stash.get(_KEEPER, None)
    if keeper:
        keeper.communicate()


def pytest_report_header() -> str:
    postgres = ", ".join(str(version) for version in _VERSIONS) or "none"
    mariadb = clusters.mariadb_binary()
    return f"servers: PostgreSQL {postgres}; MariaDB {'found' if mariadb else 'none'}"


def missing(engine: str) -> None:
    """Skip the test for want of a server, or fail where the run requires the engine."""
    required = os.environ.get("RIVET_TEST_REQUIRE", "").replace(" ", "").split(",")
    if engine in required:
        pytest.fail(f"no {engine} server here, but RIVET_TEST_REQUIRE names it")
    pytest.skip(f"no {engine} server here")


def start_once(name: str, start: Callable[[Path], clusters.Running]) -> clusters.Running:
    """Start a server, or find it where another worker of this run has started it."""
    directory = Path(os.environ[_DIRECTORY_VARIABLE]) / name
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return clusters.read_running(directory) or start(directory)


def own(name: str) -> str:
    """Return the name of a server that this worker has to itself."""
    return name + os.environ.get("PYTEST_XDIST_WORKER", "")


@contextmanager
def held(name: str) -> Iterator[None]:
    """Hold a server of this run alone: the tests of other workers that want it so wait."""
    path = Path(os.environ[_DIRECTORY_VARIABLE]) / f"{name}.held"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _postgres_server(version: int | None) -> PostgresServer:
    if version is None:
        missing("postgresql")
        raise AssertionError
    if version in _POSTGRES_URLS:
        url = _POSTGRES_URLS[version]
        return PostgresServer(url, url, version)
    running = start_once(
        f"pg{version}", lambda directory: clusters.start_postgres(_POSTGRES[version], directory)
    )
    return PostgresServer(running.url, running.admin_url, version, Path(running.home))


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(version, marks=[pytest.mark.soak] if version in _BETWEEN else [])
        for version in _VERSIONS or [None]
    ],
    ids=lambda version: f"pg{version or ''}",
)
def postgres_server(request: pytest.FixtureRequest) -> PostgresServer:
    return _postgres_server(request.param)


@pytest.fixture(scope="session")
def any_postgres_server() -> PostgresServer:
    return _postgres_server(max(_VERSIONS, default=None))


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with postgres_server.fresh_database() as database:
        yield database


@pytest.fixture
def any_postgres(any_postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with any_postgres_server.fresh_database() as database:
        yield database


@pytest.fixture(scope="module")
def shared_postgres(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with postgres_server.fresh_database() as database:
        yield database


@pytest.fixture(scope="module")
def shared_any_postgres(any_postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with any_postgres_server.fresh_database() as database:
        yield database


@pytest.fixture(scope="session")
def tls_postgres_server() -> PostgresServer:
    able = [version for version, bin_ in _POSTGRES.items() if clusters.speaks_tls(bin_)]
    if not able:
        missing("postgresql")
    version = max(able)
    running = start_once(
        "pgtls",
        lambda directory: clusters.start_postgres(_POSTGRES[version], directory, tls=True),
    )
    return PostgresServer(running.url, running.admin_url, version, Path(running.home))


@pytest.fixture
def tls_postgres(tls_postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with tls_postgres_server.fresh_database() as database:
        yield database


def _mariadb_server(name: str, *, tls: bool) -> MariaServer:
    binary = clusters.mariadb_binary()
    if binary is None:
        missing("mysql")
        raise AssertionError
    running = start_once(name, lambda directory: clusters.start_mariadb(binary, directory, tls=tls))
    return MariaServer(running.url, running.admin_url, Path(running.home))


def lone_mariadb_server() -> MariaServer:
    """Return the MariaDB of this worker, whose global variables a test may set."""
    return _mariadb_server(own("mariadb"), tls=False)


@pytest.fixture(scope="session")
def mariadb_server() -> MariaServer:
    if url := os.environ.get("RIVET_TEST_MARIADB_URL"):
        return MariaServer(url, url)
    return lone_mariadb_server()


@pytest.fixture
def mariadb(mariadb_server: MariaServer) -> Iterator[MariaDatabase]:
    with mariadb_server.fresh_database() as database:
        yield database


@pytest.fixture(scope="module")
def shared_mariadb(mariadb_server: MariaServer) -> Iterator[MariaDatabase]:
    with mariadb_server.fresh_database() as database:
        yield database


@pytest.fixture
def tls_mariadb() -> Iterator[MariaDatabase]:
    with _mariadb_server("mariadbtls", tls=True).fresh_database() as database:
        yield database


@pytest.fixture
def lone_mariadb() -> Iterator[MariaDatabase]:
    with lone_mariadb_server().fresh_database() as database:
        yield database
