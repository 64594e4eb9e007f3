"""Run the command in processes of their own, many at once, and measure time and memory of each.

A process that has loaded Rivet is forked for each run, which saves the second that loading takes;
what the fork had in memory counts as the run's own.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        code: Its exit code; 128 and the signal's number where one ended it.
        seconds: How long it took.
        peak_mb: The most memory it had.
        said: What it wrote on standard error.
    """

    code: int
    seconds: float
    peak_mb: float
    said: str

    @property
    def errors(self) -> list[str]:
        """The lines in which the command says what failed."""
        return [line for line in self.said.splitlines() if line.startswith("Error: ")]

    def check(self, name: str, codes: tuple[int, ...], limit_s: float) -> None:
        """Assert what is so whatever a server does: code, one line, memory and time."""
        told = f"{name}: {self}"
        assert self.code in codes, told
        assert len(self.errors) == 1, told
        assert "RIVET_" in self.said, told
        assert "Traceback" not in self.said, told
        assert len(self.said) < 20_000, told
        assert "\x1b" not in self.said, told
        assert self.peak_mb < 300, told
        assert self.seconds < limit_s, told


class Measured:
    """Starts runs of `rivet`; safe from several threads."""

    def __init__(self, *modules: str) -> None:
        self._lock = threading.Lock()
        self._runs: dict[int, tuple[Future[Ending], Path]] = {}
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, __file__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()

    def start(
        self, folder: Path, *arguments: str, signal_after_s: float | None = None, **environment: str
    ) -> Future[Ending]:
        """Start `rivet` with these arguments in a folder.

        Args:
            folder: Its working directory.
            arguments: Such as `run`.
            signal_after_s: Send SIGTERM after so long; None for never.
            environment: Added to that of the tests.
        """
        future: Future[Ending] = Future()
        with self._lock:
            self._number += 1
            errors = folder / f"stderr-{self._number}.txt"
            self._runs[self._number] = (future, errors)
            order = {
                "number": self._number,
                "folder": str(folder),
                "arguments": arguments,
                "environment": environment,
                "errors": str(errors),
                "signal_after_s": signal_after_s,
            }
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(order) + "\n")
        return future

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError):  # closed
            for line in self._process.stdout:
                found = json.loads(line)
                future, errors = self._runs.pop(found.pop("number"))
                said = errors.read_text(errors="replace")
                future.set_result(Ending(**found, said=said))


def _serve(modules: list[str]) -> None:
    """Fork a run for each order on standard input; write each ending on standard output."""
    from rivet.cli.preloaded import preload, warm_up

    preload([*modules, "rivet.formats", "rivet.destinations", "rivet.ui", "rivet.cli"])
    preload(["rivet.state.sqlite", "ruamel.yaml", "pydantic.type_adapter"])
    warm_up()
    gc.freeze()
    running: dict[int, tuple[int, float, float | None]] = {}
    pending = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.01)
        if readable:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                began = time.monotonic()
                after = order["signal_after_s"]
                pid = os.fork()
                if pid == 0:
                    _run(order)
                running[pid] = (order["number"], began, None if after is None else began + after)
        for pid, (number, began, signal_at) in list(running.items()):
            found, status, usage = os.wait4(pid, os.WNOHANG)
            now = time.monotonic()
            if found:
                del running[pid]
                code = os.waitstatus_to_exitcode(status)
                ending = {
                    "number": number,
                    "code": 128 - code if code < 0 else code,
                    "seconds": now - began,
                    "peak_mb": usage.ru_maxrss / 1024,
                }
                sys.stdout.write(json.dumps(ending) + "\n")
                sys.stdout.flush()
            elif signal_at is not None and now >= signal_at:
                os.kill(pid, signal.SIGTERM)
                running[pid] = (number, began, None)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _run(order: dict[str, Any]) -> None:
    code = 99
    try:
        os.chdir(order["folder"])
        os.environ.update(order["environment"])
        nothing = os.open(os.devnull, os.O_RDWR)
        errors = os.open(order["errors"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        for wanted, given in ((0, nothing), (1, nothing), (2, errors)):
            os.dup2(given, wanted)
        sys.argv = ["rivet", *order["arguments"]]
        from rivet.cli.app import main

        main()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1:])
