"""Run the command many at once, and measure time and memory of each.

The runs are forks of a process that has loaded Rivet (`support.warm`); what a fork had in memory
counts as the run's own.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from support import warm

if TYPE_CHECKING:
    import threading
    from pathlib import Path

_AT_ONCE = 40
_TIMEOUT_S = 100


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

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def start(
        self,
        folder: Path,
        *arguments: str,
        signal_after_s: float | None = None,
        signal_when: threading.Event | None = None,
        **environment: str,
    ) -> Future[Ending]:
        """Start `rivet` with these arguments in a folder.

        Args:
            folder: Its working directory.
            arguments: Such as `run`.
            signal_after_s: Send SIGTERM after so long; None for never.
            signal_when: Send it so long after this is set.
            environment: Added to the plain one.
        """
        return self._pool.submit(_run, folder, arguments, environment, signal_after_s, signal_when)


def _run(
    folder: Path,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    signal_after_s: float | None,
    signal_when: threading.Event | None,
) -> Ending:
    given = {**warm.plain_environment(), "HOME": str(folder), **environment}
    ended = warm.server().run(
        arguments,
        folder,
        given,
        _TIMEOUT_S,
        signal_after_s=signal_after_s,
        signal_when=signal_when,
    )
    code = 128 - ended.code if ended.code < 0 else ended.code
    return Ending(code, ended.seconds, ended.peak_mb, ended.stderr)
