"""Many hostile servers at once, each met by one run of the command, and what every run must be."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.hostile.fake import FakeServer, Peer, assert_kept
from support.hostile.measured import Ending, Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pytest

PASSWORD = "Hunter22-Geheim/%"
_AT_ONCE = 6
_MOST_MB = 300
_LONGEST_S = 20
# From the signal: two seconds for any wait, and one to end on a machine that is busy.
_STOP_S = 3


@dataclass(frozen=True)
class Case:
    """One behaviour of a server.

    Attributes:
        name: Of the step and the behaviour.
        script: What the server does.
        source: Further keys of the source.
        codes: Exit codes that are right.
        said: What standard error must hold.
        signal_after_s: Send SIGTERM after so long.
    """

    name: str
    script: Callable[[Peer], None]
    source: str = ""
    codes: frozenset[int] = frozenset({1, 2})
    said: str = ""
    signal_after_s: float | None = None


@dataclass(frozen=True)
class Met:
    """What came of a case."""

    case: Case
    ending: Ending
    received: Sequence[bytes]

    def check(self, *salts: bytes) -> None:
        """Assert what is so whatever a server does."""
        ending, case = self.ending, self.case
        assert ending.code in case.codes, ending
        stop_s = _LONGEST_S if case.signal_after_s is None else case.signal_after_s + _STOP_S
        assert ending.seconds < stop_s, ending
        assert ending.peak_mb < _MOST_MB, ending
        assert case.said in ending.said
        assert len(ending.said) < 30_000
        if case.signal_after_s is None:
            (error,) = ending.errors
            assert "[RIVET_" in error
            assert "bug" not in ending.said
        assert PASSWORD not in ending.said
        assert_kept(self.received, PASSWORD, *salts)


@contextmanager
def all_met(
    request: pytest.FixtureRequest,
    folder: Path,
    cases: Sequence[Case],
    config: Callable[[int, Case], str],
) -> Iterator[dict[str, Future[Met]]]:
    """Begin to meet those of the cases that are to be tested; yields what comes of each by name.

    Args:
        request: Of a fixture of the module.
        folder: For the runs.
        cases: All of them.
        config: Makes the configuration, given the server's port.
    """
    chosen = {
        item.callspec.params["case"].name
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    with Measured() as measured, ThreadPoolExecutor(_AT_ONCE) as pool:
        found: dict[str, Future[Met]] = {
            case.name: pool.submit(_meet, case, measured, folder / f"run-{number}", config)
            for number, case in enumerate(cases)
            if case.name in chosen
        }
        yield found


def _meet(case: Case, measured: Measured, folder: Path, config: Callable[[int, Case], str]) -> Met:
    folder.mkdir()
    with FakeServer(case.script) as server:
        (folder / "rivet.yaml").write_text(config(server.port, case))
        arguments: tuple[Any, ...] = ("run", "-c", "rivet.yaml")
        ending = measured.start(folder, *arguments, signal_after_s=case.signal_after_s).result(60)
        return Met(case, ending, server.received)
