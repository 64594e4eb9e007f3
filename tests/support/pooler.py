"""PgBouncer in front of a test database: a pool of connections, smaller than one may think.

    with Pooler(database, pool_size=2, mode="transaction") as pooler:
        connect(pooler.url)

`need_pooler()` skips the test where the program is missing, or fails where it is required.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg

from support import clusters
from support.servers import missing

if TYPE_CHECKING:
    from support.databases import PostgresDatabase

_READY_S: Final = 10.0


def pooler_binary() -> Path | None:
    """Return the pooler's program, or None."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("pgbouncer", path=path)
    return Path(found) if found else None


def need_pooler() -> None:
    """Skip the test where there is no pooler; fail where `RIVET_TEST_REQUIRE` has `pgbouncer`."""
    if pooler_binary() is None:
        missing("pgbouncer")


class Pooler:
    """A running pooler; ended with the block, or by the keeper of the test run.

    Attributes:
        url: The ordinary role's, through the pooler.
        admin_url: The superuser's, through the pooler.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        *,
        pool_size: int = 2,
        mode: Literal["transaction", "session", "statement"] = "transaction",
        query_wait_s: int = 120,
        users: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        """Say what the pooler is like; it starts with the block.

        Args:
            database: What it stands in front of.
            pool_size: Connections to the server per user.
            mode: When a connection goes back to the pool.
            query_wait_s: How long a client waits for a connection; 0 for ever.
            users: Passwords of roles beyond the ordinary one and the superuser.
            settings: More lines of the section `pgbouncer`.
        """
        urls = (urlsplit(database.url), urlsplit(database.admin_url))
        known = {unquote(one.username or ""): unquote(one.password or "") for one in urls}
        self._users = known | (users or {})
        self._server = urls[0]
        self._port = clusters.free_port()
        self._settings = {
            "listen_addr": clusters.HOST,
            "listen_port": self._port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "pool_mode": mode,
            "default_pool_size": pool_size,
            "max_client_conn": 200,
            "query_wait_timeout": query_wait_s,
            "server_login_retry": 1,
        } | (settings or {})
        self.url = self._through(database.url)
        self.admin_url = self._through(database.admin_url)
        self._home = Path(os.environ["RIVET_TEST_SERVERS_DIRECTORY"]) / f"pg{uuid.uuid4().hex[:8]}"
        self._process: subprocess.Popen[bytes] | None = None

    def url_of(self, role: str) -> str:
        """Return the URL of one of `users`."""
        parts = urlsplit(self.url)
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}@{place}"))

    def servers(self) -> int:
        """Count the connections that the pooler has open to the server."""
        parts = urlsplit(self.admin_url)._replace(path="/pgbouncer")
        with psycopg.connect(urlunsplit(parts), autocommit=True) as connection:
            # The console knows the simple protocol only.
            result = connection.pgconn.exec_(b"SHOW SERVERS")
        return result.ntuples

    def __enter__(self) -> Self:
        binary = pooler_binary()
        if binary is None:
            missing("pgbouncer")
        self._home.mkdir(mode=0o755)
        config = self._write()
        command = [str(binary), "-q", str(config)]
        identity: dict[str, Any] = {}
        if user := clusters.server_user():
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **identity
            )
        record = {"pid": self._process.pid, "stop_signal": signal.SIGKILL, "home": str(self._home)}
        (self._home / "running.json").write_text(json.dumps(record))
        self._wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _write(self) -> Path:
        place = f"host={self._server.hostname} port={self._server.port}"
        admins = ", ".join(self._users)
        settings = {"auth_file": self._home / "users", "admin_users": admins, **self._settings}
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        config = self._home / "pgbouncer.ini"
        config.write_text(f"[databases]\n* = {place}\n[pgbouncer]\n{''.join(lines)}")
        names = [(name, word.replace('"', '""')) for name, word in self._users.items()]
        (self._home / "users").write_text("".join(f'"{name}" "{word}"\n' for name, word in names))
        return config

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url) as connection:
                connection.execute("SELECT 1")
                return
            if time.monotonic() > deadline:
                log = (self._home / "log").read_text(errors="replace")
                raise clusters.StartError(f"pgbouncer did not start\n{log[-2000:]}")
            time.sleep(0.05)

    def _through(self, url: str) -> str:
        parts = urlsplit(url)
        userinfo = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{userinfo}@{clusters.HOST}:{self._port}"))
