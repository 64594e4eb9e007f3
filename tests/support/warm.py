"""Start `rivet` as a fork of a process that has imported it: most of a short command is imports.

Executed as `python -m support.warm <descriptor>`, with the environment that a command gets. For
each request it forks; the child takes the request's directory, environment and standard streams,
and goes on as `python -m rivet` does. Commands that are killed, or whose interpreter has settings
of its own, are started the plain way by `support.cli`.
"""

from __future__ import annotations

import array
import atexit
import functools
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RIVET = "rivet.__main__:main"
CLOSED, FULL, BROKEN, READ_ONLY = "closed", "full", "broken", "read-only"
_PLAIN = {"LC_ALL": "C.UTF-8", "COLUMNS": "100", "NO_COLOR": "1"}
_SIZE = struct.Struct("!I")
_WIDTH = 32
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC", "ARROW_", "OMP_", "TZ", "RIVET_KERNEL")


def is_fit(environment: Mapping[str, str]) -> bool:
    """Whether a command with these variables starts as one with the plain ones does."""
    default = plain_environment()
    return all(
        environment.get(name) == default.get(name)
        for name in {*environment, *default}
        if name.startswith(_AT_START)
    )


def plain_environment() -> dict[str, str]:
    """Return what a command sees: nothing of the developer's own settings but PATH."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, **_PLAIN}


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code, negative for a signal.
        stdout: What it wrote there.
        stderr: The same.
        seconds: How long it took.
        peak_mb: The most memory it had, with what the fork had of its parent.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak_mb: float


class Warm:
    """The process that commands are forked from; it ends with the one that made it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        paths = os.pathsep.join(path for path in sys.path if path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.warm", str(theirs.fileno())],
                env={**environment, "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        atexit.register(self.close)

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._process.wait()

    def run(
        self,
        arguments: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        timeout_s: float,
        *,
        entry: str = RIVET,
        streams: Mapping[str, str] | None = None,
        address_space: int | None = None,
        signal_after_s: float | None = None,
        signal_when: threading.Event | None = None,
    ) -> Ended:
        """Run a command to its end; safe from several threads.

        Args:
            arguments: Of the command.
            directory: Where it runs.
            environment: All of it.
            timeout_s: It is killed after so long, and the test fails.
            entry: A function of a module, called without arguments.
            streams: How `stdout` or `stderr` is spoilt before it begins.
            address_space: Limit in bytes.
            signal_after_s: Send SIGTERM after so long.
            signal_when: Send it so long after this is set.
        """
        request = json.dumps(
            {
                "arguments": list(arguments),
                "directory": str(directory),
                "environment": dict(environment),
                "entry": entry,
                "streams": dict(streams or {}),
                "address_space": address_space,
            }
        ).encode()
        with (
            tempfile.TemporaryFile() as sent,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            sent.write(request)
            sent.flush()
            told, tell = os.pipe()
            handles = array.array("i", [sent.fileno(), out.fileno(), err.fileno(), tell])
            self._socket.sendmsg(
                [_SIZE.pack(len(request))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)]
            )
            os.close(tell)
            if signal_when is not None:
                signal_when.wait(timeout_s)
            status, seconds, peak_mb = _ending(told, arguments, timeout_s, signal_after_s)
            code = os.waitstatus_to_exitcode(status)
            return Ended(code, _text(out.fileno()), _text(err.fileno()), seconds, peak_mb)


def _text(handle: int) -> str:
    data = os.pread(handle, os.fstat(handle).st_size, 0)
    return data.decode(errors="surrogateescape").replace("\r\n", "\n")


def _ending(
    told: int, arguments: Sequence[str], timeout_s: float, signal_after_s: float | None
) -> tuple[int, float, float]:
    with open(told, "rb", buffering=0) as stream:
        child = int(stream.read(_WIDTH).split()[0])
        ended = select.poll()  # `select` knows no descriptor above 1,023
        ended.register(stream, select.POLLIN)
        if signal_after_s is not None and not ended.poll(signal_after_s * 1000):
            os.kill(child, signal.SIGTERM)
        if not ended.poll(timeout_s * 1000):
            os.kill(child, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout_s)
        status, seconds, peak_mb = json.loads(stream.read(200))
        return status, seconds, peak_mb


@functools.cache
def server() -> Warm:
    """Return this process's server, started when it is first asked for."""
    return Warm(plain_environment())


def _serve(connection: socket.socket) -> dict[str, Any]:
    """Fork for every request; return in the children, with what is asked for."""
    while True:
        size, handles, *_ = socket.recv_fds(connection, _SIZE.size, 4)
        if not size:
            os._exit(0)
        if os.fork() == 0:
            return _become(_SIZE.unpack(size)[0], handles, connection)
        for handle in handles:
            os.close(handle)
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _become(size: int, handles: list[int], connection: socket.socket) -> dict[str, Any]:
    connection.close()
    sent, out, err, tell = handles
    request: dict[str, Any] = json.loads(os.pread(sent, size, 0))
    began = time.monotonic()
    child = os.fork()
    if child:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        os.write(tell, f"{child}\n".encode().ljust(_WIDTH))
        _, status, usage = os.wait4(child, 0)
        ending = [status, time.monotonic() - began, usage.ru_maxrss / 1024]
        os.write(tell, json.dumps(ending).encode())
        os._exit(0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for handle in handles:
        os.close(handle)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    limit = request["address_space"]
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return request


def spoil(stream: str, way: str) -> None:
    """Make a standard stream of this process what it should not be."""
    number = {"stdout": 1, "stderr": 2}[stream]
    if way == CLOSED:
        setattr(sys, stream, None)  # as an interpreter that starts without it
        os.close(number)
        return
    if way == BROKEN:
        reader, handle = os.pipe()
        os.close(reader)
    else:
        place = "/dev/full" if way == FULL else os.devnull
        handle = os.open(place, os.O_WRONLY if way == FULL else os.O_RDONLY)
    os.dup2(handle, number)
    os.close(handle)


def _preload() -> None:
    for name in ("sqlalchemy.dialects.postgresql.psycopg", "rivet.state.postgres"):
        importlib.import_module(name)
    from rivet.cli import app, preloaded, run  # noqa: F401 - imported for the commands
    from rivet.config.document import parse
    from rivet.execution.children.forked import modules_for
    from rivet.sources import ENGINES

    preloaded.preload([*modules_for(tuple(ENGINES)), "rivet.ui", "rivet.cli"])
    preloaded.warm_up()
    parse("a: b")


def main() -> None:
    """Import all, serve, and be the command in every child."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    _preload()
    gc.freeze()
    request = _serve(connection)
    sys.argv = ["rivet", *request["arguments"]]
    module, _, name = request["entry"].partition(":")
    entry = getattr(importlib.import_module(module), name)
    paths = set(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [path for path in sys.path if path not in paths]
    for stream, way in request["streams"].items():
        spoil(stream, way)
    entry()


if __name__ == "__main__":
    main()
