"""End every server of a test run as soon as the run is over, however it ended.

Run as a program with the run's directory as argument. Its standard input is a pipe whose other end
the test run holds: the end of file comes when the run closes it, and also when the run is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import psutil

_PATIENCE_S = 10.0


def end_servers(directory: Path) -> None:
    """Stop each server published below `directory`, then remove the directory."""
    for file in directory.glob("*/running.json"):
        record = json.loads(file.read_text())
        _end(record["pid"], record["stop_signal"], record["home"])
    shutil.rmtree(directory, ignore_errors=True)


def _end(pid: int, stop_signal: int, home: str) -> None:
    try:
        process = psutil.Process(pid)
        if not any(home in part for part in process.cmdline()):
            return  # the number belongs to another process by now
        os.kill(pid, stop_signal)
        deadline = time.monotonic() + _PATIENCE_S
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                process.kill()
                return
            time.sleep(0.02)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_servers(Path(sys.argv[1]))
