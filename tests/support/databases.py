"""Fresh databases on a test server, and plain ways to fill and ask them."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from support import clusters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The server's own defaults are hostile on purpose; whoever fills a table wants plain ones.
_PLAIN = "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1"


_PLAIN_MARIADB = "SET time_zone = '+00:00', sql_mode = 'NO_ENGINE_SUBSTITUTION'"


@dataclass(frozen=True)
class PostgresDatabase:
    """A database owned by an ordinary role.

    `url` is that role's, percent-encoded; `admin_url` is the superuser's on the same database.
    """

    url: str
    admin_url: str
    name: str
    version: int
    home: Path | None

    def connect(self, *, admin: bool = False, **options: Any) -> psycopg.Connection[Any]:
        """Open an autocommit connection with plain text settings; close it yourself."""
        url = self.admin_url if admin else self.url
        return psycopg.connect(url, autocommit=True, **{"options": _PLAIN, **options})

    def execute(self, statement: str, *, admin: bool = False) -> list[tuple[Any, ...]]:
        """Run one or more statements as the owner; return the rows of the last."""
        with self.connect(admin=admin) as connection:
            cursor = connection.execute(statement.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class PostgresServer:
    """A server; both URLs come without a database unless the caller's own server is used."""

    url: str
    admin_url: str
    version: int
    home: Path | None = None

    @contextmanager
    def fresh_database(self, options: str = "") -> Iterator[PostgresDatabase]:
        """Make a database for the block and drop it afterwards, whoever is still connected.

        `options` are those of CREATE DATABASE, such as an encoding.
        """
        name = f"test_{uuid.uuid4().hex[:12]}"
        identifier = sql.Identifier(name)
        role = sql.Identifier(clusters.ROLE if self.home else self._own_role())
        with psycopg.connect(_on(self.admin_url, "postgres"), autocommit=True) as connection:
            if self.home:
                self._ensure_role(connection)
            create = sql.SQL("CREATE DATABASE {} OWNER {} ").format(identifier, role)
            connection.execute(create + sql.SQL(options))  # type: ignore[arg-type]
        try:
            yield PostgresDatabase(
                _on(self.url, name), _on(self.admin_url, name), name, self.version, self.home
            )
        finally:
            with psycopg.connect(_on(self.admin_url, "postgres"), autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))

    def _own_role(self) -> str:
        return psycopg.conninfo.conninfo_to_dict(self.admin_url)["user"]

    def _ensure_role(self, connection: psycopg.Connection[Any]) -> None:
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(clusters.ROLE), sql.Literal(clusters.PASSWORD)
        )
        try:
            connection.execute(create)
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            return


@dataclass(frozen=True)
class MariaDatabase:
    """A database on MariaDB; `url` is the ordinary role's, percent-encoded."""

    url: str
    admin_url: str
    name: str
    home: Path | None = None

    def execute(self, statements: str) -> list[tuple[str, ...]]:
        """Run statements with the client program; return the rows as it prints them."""
        return _mariadb(self.admin_url, statements)


@dataclass(frozen=True)
class MariaServer:
    """A MariaDB server; both URLs come without a database."""

    url: str
    admin_url: str
    home: Path | None = None

    @contextmanager
    def fresh_database(self) -> Iterator[MariaDatabase]:
        """Make a database for the block and drop it afterwards."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        _mariadb(self.admin_url, f"CREATE DATABASE {name}")
        try:
            yield MariaDatabase(_on(self.url, name), _on(self.admin_url, name), name, self.home)
        finally:
            _mariadb(self.admin_url, f"DROP DATABASE {name}")


def _mariadb(url: str, statements: str) -> list[tuple[str, ...]]:
    address = urlsplit(url)
    command = [shutil.which("mariadb") or "mariadb", "--no-defaults", "--batch", "--protocol=tcp"]
    command += ["--skip-column-names", f"--host={address.hostname}", f"--port={address.port}"]
    # The server's own modes are hostile on purpose; whoever fills a table wants plain ones.
    command += ["--default-character-set=utf8mb4", f"--init-command={_PLAIN_MARIADB}"]
    command += [f"--user={unquote(address.username or '')}", address.path.lstrip("/")]
    done = subprocess.run(
        command,
        input=statements,
        env={**os.environ, "MYSQL_PWD": unquote(address.password or "")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def _on(url: str, database: str) -> str:
    head, separator, options = url.partition("?")
    scheme, _, rest = head.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}/{database}{separator}{options}"
