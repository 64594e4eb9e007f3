"""What every export of one invocation shares."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rivet.config.models import Config
    from rivet.events import Emit
    from rivet.state.store import StateStore


def utc_now() -> datetime:
    """Return the present as an aware UTC time."""
    return datetime.now(UTC)


def random_hex() -> str:
    """Return the random tail of a run id: eight hex digits."""
    return secrets.token_hex(4)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The flags of `rivet run` that change what happens.

    Attributes:
        validate: Count each part again before it is published and check the manifest after.
    """

    validate: bool = False


@dataclass(frozen=True, slots=True)
class RunContext:
    """Shared by all exports of an invocation; clock and randomness are parameters.

    Attributes:
        emit: Takes every event; never raises for a reader's sake.
        env: Environment for secrets and fault hooks.
    """

    config: Config
    options: RunOptions
    state: StateStore
    emit: Emit
    env: Mapping[str, str]
    clock: Callable[[], datetime] = field(default=utc_now)
    random: Callable[[], str] = field(default=random_hex)
