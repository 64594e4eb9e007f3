"""A slow way to the server: each connection waits for every answer and has its own speed limit.

The proxy is a process of its own, so that what it costs is not counted as anybody's work.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import cpu_of_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.fixture import Fixture

_PROXY = Path(__file__).parent / "peers" / "slow_proxy.py"

ONE_WAY_MS = 1.0
MB_PER_S = 25.0


@dataclass(frozen=True)
class SlowNetwork:
    """The running proxy.

    Attributes:
        fixture: The server as it is seen through the proxy.
    """

    fixture: Fixture
    _pid: int

    def cpu_s(self) -> float:
        """Return the processor seconds that the proxy has used so far."""
        return cpu_of_process(self._pid)


@contextmanager
def slow_network(fixture: Fixture) -> Iterator[SlowNetwork]:
    """Put the proxy in front of the server."""
    proxy = subprocess.Popen(
        [sys.executable, str(_PROXY), fixture.port, str(ONE_WAY_MS), str(MB_PER_S)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with proxy:  # which closes its standard input, and waits
        if proxy.stdout is None or not (port := proxy.stdout.readline().strip()):
            msg = "the proxy of the benchmark did not start"
            raise SystemExit(msg)
        url = fixture.url.replace(f":{fixture.port}/", f":{port}/")
        yield SlowNetwork(replace(fixture, url=url, port=port), proxy.pid)
