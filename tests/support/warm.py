"""Start `rivet` as a fork of a process that has imported it: most of a short command is imports.

Executed as `python -m support.warm <descriptor>`, with the environment that a command gets. For
each request it forks; the child takes the request's directory, environment and standard streams,
and goes on as `python -m rivet` does. Commands that are killed, or whose interpreter has settings
of its own, are started the plain way by `support.cli`.
"""

from __future__ import annotations

import array
import functools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SIZE = struct.Struct("!I")
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC", "ARROW_", "OMP_", "TZ", "RIVET_KERNEL")


def is_fit(environment: Mapping[str, str], default: Mapping[str, str]) -> bool:
    """Whether a command with these variables starts as one with the default ones does."""
    return all(
        environment.get(name) == default.get(name)
        for name in {*environment, *default}
        if name.startswith(_AT_START)
    )


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

    def run(
        self,
        arguments: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        timeout_s: float,
    ) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, negative for a signal, and outputs."""
        request = json.dumps([list(arguments), str(directory), dict(environment)]).encode()
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
            code = _code(told, arguments, timeout_s)
            texts = [
                os.pread(one.fileno(), os.fstat(one.fileno()).st_size, 0) for one in (out, err)
            ]
        stdout, stderr = (text.decode().replace("\r\n", "\n") for text in texts)
        return code, stdout, stderr


def _text(handle: int) -> str:
    return os.pread(handle, os.fstat(handle).st_size, 0).decode().replace("\r\n", "\n")


def _code(told: int, arguments: Sequence[str], timeout_s: float) -> int:
    import select

    with open(told, "rb", buffering=0) as stream:
        child = int(stream.read(32).split()[0])
        if not select.select([stream], [], [], timeout_s)[0]:
            os.kill(child, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout_s)
        return os.waitstatus_to_exitcode(int(stream.read(32)))


@functools.cache
def server(default: tuple[tuple[str, str], ...]) -> Warm:
    """Return this process's server, started when it is first asked for."""
    return Warm(dict(default))


def _serve(connection: socket.socket) -> list[str]:
    """Fork for every request; return in the children, with the arguments of the command."""
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


def _become(size: int, handles: list[int], connection: socket.socket) -> list[str]:
    connection.close()
    sent, out, err, tell = handles
    arguments, directory, environment = json.loads(os.pread(sent, size, 0))
    child = os.fork()
    if child:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        os.write(tell, f"{child}\n".encode().ljust(32))
        os.write(tell, str(os.waitpid(child, 0)[1]).encode())
        os._exit(0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for handle in handles:
        os.close(handle)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    return arguments


def _preload() -> None:
    from rivet.cli import app, preloaded, run  # noqa: F401 - imported for the commands
    from rivet.execution.children.forked import modules_for
    from rivet.sources import ENGINES

    preloaded.preload(modules_for(tuple(ENGINES)))
    preloaded.warm_up()


def main() -> None:
    """Import all, serve, and be the command in every child."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    _preload()
    arguments: list[Any] = _serve(connection)
    sys.argv = ["rivet", *arguments]
    paths = set(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [path for path in sys.path if path not in paths]
    from rivet.__main__ import main as rivet

    rivet()


if __name__ == "__main__":
    main()
