"""Pytest plugin: real object stores, started when a test first asks.

    each_bucket   a fresh bucket on every store: S3 by moto, S3 by ministack, GCS, Azure
    moto          a fresh bucket on moto alone
    gcs, azure    the same on those

moto, ministack and Azurite are other people's servers, put into `.venv` by
`scripts/install_stores`; Google Cloud Storage is the suite's own (`support.gcsserver`), as there is
none of others that speaks its XML API. One run of pytest has one server of each, shared by its
xdist workers and ended with it.
Where one is missing the test is skipped, or fails if `RIVET_TEST_REQUIRE` names `s3` or `azure`.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

import pytest

from support import clusters
from support.buckets import AZURE_ACCOUNT, AZURE_KEY, KINDS, Bucket, fresh_bucket
from support.servers import missing, start_once
from support.tree import ROOT

_PACKAGES: Final = ROOT / ".venv" / "stores"
_AZURITE: Final = ROOT / ".venv" / "azurite" / "node_modules" / "azurite" / "dist/src/blob/main.js"
_OWN: Final = Path(__file__).with_name("gcsserver.py")
_START_TIMEOUT_S: Final = 3 * clusters.START_TIMEOUT_S  # imports, on a machine that is busy
# The last argument is only there to be seen in the list of processes, see `support.keeper`.
_MOTO: Final = "import sys; from moto.server import main; main(sys.argv[1:-1])"
_MINISTACK: Final = "import sys; del sys.argv[1:]; from ministack.app import main; main()"


def _command(name: str, home: Path, port: int) -> list[str] | None:
    """Return how a store is started, None where it is not here."""
    if name == "gcs":
        return [sys.executable, str(_OWN), str(port), str(home)]
    if name == "azure":
        node = shutil.which("node")
        if node is None or not _AZURITE.exists():
            return None
        script = home / "azurite.js"
        script.unlink(missing_ok=True)
        script.symlink_to(_AZURITE)
        flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
        return [node, str(script), *flags, "--blobHost", clusters.HOST, "--blobPort", str(port)]
    if not (_PACKAGES / "made-from").exists():
        return None
    if name == "moto":
        return [sys.executable, "-c", _MOTO, "-H", clusters.HOST, "-p", str(port), str(home)]
    return [sys.executable, "-c", _MINISTACK, str(home)]


def _environment(home: Path, port: int) -> dict[str, str]:
    key = base64.b64encode(AZURE_KEY).decode()
    return {
        **{name: os.environ[name] for name in ("PATH",) if name in os.environ},
        "PYTHONPATH": str(_PACKAGES),
        "HOME": str(home),
        "TMPDIR": str(home),
        "AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{key}",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": clusters.HOST,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }


def start_store(name: str, directory: Path) -> clusters.Running | None:
    """Start a store below `directory`; None where its program is missing.

    Raises:
        StartError: It did not come up.
    """
    home = directory / "server"
    home.mkdir(exist_ok=True)
    log = home / "log"
    for _ in range(3):  # between finding a port and taking it, another program may
        port = clusters.free_port()
        command = _command(name, home, port)
        if command is None:
            return None
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=home,
                env=_environment(home, port),
                start_new_session=True,
            )
        clusters._STARTED.append(process)
        url = f"http://{clusters.HOST}:{port}"
        running = clusters.Running(
            name, "", url, url, port, process.pid, signal.SIGKILL, home=str(home)
        )
        clusters._publish(running, directory)  # before it answers: it is ended in any case
        if _is_up(process, port):
            return running
        process.kill()
        (directory / "running.json").unlink()
    raise clusters.StartError(clusters._tail(f"{name} did not start", log))


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = HTTPConnection(clusters.HOST, port, timeout=_START_TIMEOUT_S)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, HTTPException):
            time.sleep(0.05)
        else:
            return process.poll() is None
        finally:
            connection.close()
    return False


def store_endpoint(name: str) -> str:
    """Return the address of a store of this run, started now if it is not."""

    def start(directory: Path) -> clusters.Running:
        running = start_store(name, directory)
        if running is None:
            missing(KINDS[name])
            raise AssertionError
        return running

    return start_once(name, start).url


def make_bucket(name: str) -> Bucket:
    """Return a fresh bucket on a store: `moto`, `ministack`, `gcs` or `azure`."""
    return fresh_bucket(name, store_endpoint(name))


@pytest.fixture(params=list(KINDS))
def each_bucket(request: pytest.FixtureRequest) -> Bucket:
    return make_bucket(request.param)


@pytest.fixture
def moto() -> Bucket:
    return make_bucket("moto")


@pytest.fixture
def gcs() -> Bucket:
    return make_bucket("gcs")


@pytest.fixture
def azure() -> Bucket:
    return make_bucket("azure")
