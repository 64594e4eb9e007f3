"""Run context: what every export of one invocation shares."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rivet.config.models import Config
    from rivet.events import Emit
    from rivet.execution.stopping import StopRequest
    from rivet.execution.worker.contract import WorkerPool
    from rivet.model.source import SharedSnapshot
    from rivet.state.store import StateStore


def utc_now() -> datetime:
    """Return the present as an aware UTC time."""
    return datetime.now(UTC)


def random_hex() -> str:
    """Return the random tail of a run id: eight hex digits."""
    return secrets.token_hex(4)


def no_signal() -> bool:
    """Return False: nobody asked to stop."""
    return False


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The flags of `rivet run` that change what happens.

    Attributes:
        validate: Count each part again before it is published and check the manifest after.
        reconcile: Count the source in the instant that was read and compare.
        resume: Go on where an interrupted run stopped, where the mode can.
        fresh: Begin an incremental export anew, whatever it remembers.
        backfill: Take this half-open range of the cursor instead, and remember nothing.
        force: With `resume`, exports that are complete are run anew instead of skipped.
    """

    validate: bool = False
    reconcile: bool = False
    resume: bool = False
    force: bool = False
    fresh: bool = False
    backfill: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RunContext:
    """Shared by all exports of an invocation; clock and randomness are parameters.

    Attributes:
        emit: Takes every event; never raises for a reader's sake.
        env: Environment for secrets and fault hooks.
        run_started_at: Start of the whole invocation, the same for all its exports and in their
            child processes; the day of `{date}`. None is the export's own start.
        max_memory_mb: One export's share of the memory budget; None without one.
        is_state_checked: The parent process has just proven that the state can be written.
        snapshot: An instant that all exports which ask for it read in; None without one.
        max_connections: The most connections to the source that one export holds at a time.
        workers: Gives the pool that chunk tasks run in instead of threads of this process, which it
            is handed; None for those.
        stop: For exports that no signal reaches, as in threads; None in the main thread.
        interrupted: Whether Ctrl-C or SIGTERM came, by whatever way: then nothing is waited for
            long.
    """

    config: Config
    options: RunOptions
    state: StateStore
    emit: Emit
    env: Mapping[str, str]
    clock: Callable[[], datetime] = field(default=utc_now)
    random: Callable[[], str] = field(default=random_hex)
    run_started_at: datetime | None = None
    stop: StopRequest | None = None
    max_memory_mb: int | None = None
    is_state_checked: bool = False
    snapshot: SharedSnapshot | None = None
    workers: Callable[[WorkerPool], WorkerPool] | None = None
    max_connections: int | None = None
    interrupted: Callable[[], bool] = no_signal
