"""MariaDB: a private server with the same lineitem table, who reads it, and what is asked.

The table is cached whole, so what is measured is the wire and what is behind it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bench.cases import Case, own_environment, peer, rivet_command, script
from bench.environments import environment
from bench.measure import cpu_of_server
from bench.suite import run_table
from bench.verdict import Verdict, at_least, at_most, ratio
from tests.support import clusters

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = Path(__file__).with_name("mariadb.sql")
_SETTINGS = {"innodb-buffer-pool-size": "2G", "sql-mode": "NO_ENGINE_SUBSTITUTION"}
_MEMORY_MB = 256


@dataclass(frozen=True)
class MariaFixture:
    """The running server.

    Attributes:
        url: Address over TCP with the database, as every peer understands it.
        version: Version of the server.
        pid: Process id of the server.
    """

    url: str
    version: str
    pid: int

    def cpu_s(self) -> float:
        """Return the processor seconds that the server has used so far."""
        return cpu_of_server(self.pid)


@contextmanager
def maria_fixture(rows: int) -> Iterator[MariaFixture]:
    """Start the server and fill it; about half a minute for the full size."""
    binary = clusters.mariadb_binary()
    if binary is None:
        msg = "MariaDB is not installed: run `make services`"
        raise SystemExit(msg)
    with tempfile.TemporaryDirectory(prefix="rivet-bench-maria-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        running = clusters.start_mariadb(binary, folder, settings=_SETTINGS)
        try:
            print(f"filling lineitem on MariaDB: {rows:,} rows ...", flush=True)
            script_text = _SCRIPT.read_text().replace(":rows", str(rows))
            run_client(running.url, f"CREATE DATABASE shop; USE shop; {script_text}")
            yield MariaFixture(f"{running.url}/shop", running.version, running.pid)
        finally:
            os.kill(running.pid, signal.SIGTERM)
            time.sleep(2)


def client_command(url: str, *more: str) -> tuple[list[str], str]:
    """Return the command of MariaDB's own client and the password for its environment."""
    address = urlsplit(url)
    program = shutil.which("mariadb") or "mariadb"
    command = [program, "--no-defaults", "--protocol=tcp", f"--host={address.hostname}"]
    command += [f"--port={address.port}", f"--user={unquote(address.username or '')}"]
    command += ["--default-character-set=utf8mb4", *more, address.path.lstrip("/")]
    return command, unquote(address.password or "")


def run_client(url: str, statements: str) -> str:
    """Run statements with MariaDB's own client and return what it prints."""
    command, password = client_command(url, "--batch", "--skip-column-names")
    done = subprocess.run(
        command,
        input=statements,
        env={**os.environ, "MYSQL_PWD": password},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def maria_cases() -> list[Case]:
    """Return every case, the client first; makes the environments that are missing."""
    own = own_environment()
    connectorx, dlt = environment("connectorx"), environment("dlt")
    reference = environment("reference")
    return [
        Case("drain", "mariadb --quick --batch, dropped", _drain, writes=False),
        Case(
            "drain-raw",
            "raw packets from PyMySQL's socket, dropped",
            script(own, "mysql_drain.py"),
            writes=False,
        ),
        Case("rivet", "Rivet, default profile", rivet_command(own, "mysql")),
        Case("rivet-fast", "Rivet, profile fast", rivet_command(own, "mysql", "fast")),
        peer("connectorx", "connectorx stream + pyarrow", connectorx, "connectorx_parquet.py"),
        peer("dlt-connectorx", "dlt, connectorx backend", dlt, "dlt_parquet.py", "connectorx"),
        peer("dlt-pyarrow", "dlt, pyarrow backend", dlt, "dlt_parquet.py", "pyarrow"),
        Case(
            "reference",
            "rivet-cli, default profile",
            rivet_command(reference, "mysql"),
            problem=reference.problem,
        ),
    ]


def _drain(url: str, table: str, folder: Path) -> list[str]:
    """Return the client's command; its rows go to /dev/null, the cheapest place there is."""
    statement = f"SELECT * FROM {table}"  # noqa: S608 - a name of this benchmark
    command, password = client_command(
        url, "--quick", "--batch", "--skip-column-names", f"--execute={statement}"
    )
    quoted = folder / "drain.cnf"
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    quoted.write_text(f'[client]\npassword="{escaped}"\n')
    # A file for the password, since a benchmark's command line can be seen by everybody.
    command[1] = f"--defaults-file={quoted}"
    return ["/bin/sh", "-c", 'exec "$@" >/dev/null', "drain", *command]


def measure_maria(rows: int, runs: int, names: list[str] | None) -> dict[str, Any]:
    """Measure every case on the table, in alternation; once on ten times its rows."""
    cases = [case for case in maria_cases() if not names or case.name in names]
    with maria_fixture(rows) as server:
        found = run_table(server, "lineitem", cases, runs, expected=rows)
        results: dict[str, Any] = {
            "version": server.version,
            "rows": rows,
            "runs": runs,
            "lineitem": {name: one.summary() for name, one in found.items()},
        }
        own = [case for case in cases if case.name == "rivet"]
        if own:
            big = run_table(server, "lineitem_tenfold", own, 1, expected=10 * rows)
            results["tenfold"] = {name: one.summary() for name, one in big.items()}
    return results


def maria_verdicts(results: dict[str, Any]) -> list[Verdict]:
    """Judge the targets of MariaDB."""
    line = results.get("lineitem", {})
    peaks = [
        results.get(part, {}).get("rivet", {}).get("peak_mb") for part in ("lineitem", "tenfold")
    ]
    known = [peak for peak in peaks if peak is not None]
    return [
        at_most(
            "MariaDB lineitem: wall at most 1.1 times the client's own drain",
            ratio(line, "rivet", "drain"),
            1.1,
        ),
        at_least(
            "MariaDB lineitem: faster than connectorx", ratio(line, "connectorx", "rivet"), 1.0
        ),
        Verdict(
            "MariaDB lineitem, and ten times its rows: peak memory under 256 MB",
            " and ".join(f"{peak:.0f} MB" for peak in known),
            max(known) < _MEMORY_MB if known else None,
        ),
    ]
