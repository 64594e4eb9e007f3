"""Pytest plugin: a streaming standby of the newest PostgreSQL of the tests, read-only.

standby_server        the server, with every database of its primary
standby_pair          a fresh database on the primary, and the same one on the standby
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

from support import clusters, servers
from support.databases import PostgresDatabase, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_S: Final = 20.0


def start_standby(binaries: Path, primary: clusters.Running, directory: Path) -> clusters.Running:
    """Copy a running primary below `directory` and start the copy as its standby; three seconds.

    Raises:
        clusters.StartError: It did not come up.
    """
    home = clusters._private_home(directory)
    binaries = clusters._reachable(binaries, home)
    data = home / "data"
    password = clusters.PASSWORD.replace("'", "\\'")
    info = f"host={clusters.HOST} port={primary.port} user={clusters.ADMIN} password='{password}'"
    copy: list[Any] = [binaries / "pg_basebackup", "-d", info, "-D", data, "-R", "-X", "stream"]
    clusters._run([*copy, "-c", "fast", "--no-sync"], home)
    with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.write(f"unix_socket_directories = '{home}'\nmax_standby_streaming_delay = -1\n")
    port = clusters.start_on_free_port(binaries, data, home)
    running = clusters.Running(
        name=directory.name,
        version=primary.version,
        url=clusters._url("postgresql", clusters.ROLE, port),
        admin_url=clusters._url("postgresql", clusters.ADMIN, port),
        port=port,
        pid=int((data / "postmaster.pid").read_text().split("\n", 1)[0]),
        stop_signal=signal.SIGQUIT,
        home=str(home),
    )
    clusters._publish(running, directory)
    return running


@dataclass(frozen=True)
class StandbyPair:
    """A database on a primary, and the same one on its standby.

    Attributes:
        primary: Written to by tests.
        standby: What Rivet reads; every write is refused.
    """

    primary: PostgresDatabase
    standby: PostgresDatabase

    def catch_up(self) -> None:
        """Wait until the standby has replayed what the primary has written so far."""
        with self.primary.connect(admin=True) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            # Something behind it, written out at once.
            connection.execute("SET synchronous_commit = on")
            connection.execute("SELECT pg_logical_emit_message(true, 'test', '')")
        assert row is not None
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if self._standby("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row[0]):
                return
            time.sleep(0.02)
        msg = "the standby does not catch up"
        raise AssertionError(msg)

    def pause(self) -> None:
        """Have the standby replay nothing until `resume`."""
        self._standby("SELECT pg_wal_replay_pause() IS NULL")

    def resume(self) -> None:
        """Let the standby replay again."""
        self._standby("SELECT pg_wal_replay_resume() IS NULL")

    def _standby(self, question: str, *values: Any) -> Any:
        # To a database that is there even when the one under test is not replayed yet.
        url = self.standby.admin_url.rpartition("/")[0] + "/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute(question.encode(), values or None).fetchone()
        return row[0] if row else None


@pytest.fixture(scope="session")
def standby_server(any_postgres_server: PostgresServer) -> PostgresServer:
    """Return a standby of the newest PostgreSQL of the tests."""
    home = any_postgres_server.home
    primary = clusters.read_running(home.parent) if home else None
    if primary is None:
        servers.missing("standby")
        raise AssertionError
    binaries = clusters.postgres_binaries()[any_postgres_server.version]
    running = servers.start_once(
        "standby", lambda directory: start_standby(binaries, primary, directory)
    )
    version = any_postgres_server.version
    return PostgresServer(running.url, running.admin_url, version, Path(running.home))


@pytest.fixture
def standby_pair(
    any_postgres: PostgresDatabase, standby_server: PostgresServer
) -> Iterator[StandbyPair]:
    """Return a fresh database on a primary, and the same one on its standby."""
    name = any_postgres.name
    mirror = PostgresDatabase(
        f"{standby_server.url}/{name}",
        f"{standby_server.admin_url}/{name}",
        name,
        standby_server.version,
        standby_server.home,
    )
    pair = StandbyPair(any_postgres, mirror)
    pair.catch_up()
    try:
        yield pair
    finally:
        pair.resume()
