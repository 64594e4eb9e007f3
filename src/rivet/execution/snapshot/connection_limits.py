"""Connection limits of a server, a database or a user: what they leave, and waiting for a slot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rivet.errors import ConnectionLimitError
from rivet.sources.abilities import CountsConnections

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.sources.base import Session

# What is left to others on a server that is nearly full.
CONNECTIONS_LEFT: Final = 2
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 1.0


def wait_for_slot(
    connect: Callable[[], Session],
    *,
    limit_s: float,
    is_stopped: Callable[[], bool],
    on_wait: Callable[[str], None] | None,
) -> Session:
    """Open a session; where a connection limit is reached, try again until one is free.

    Servers end sessions a moment after their clients have closed them, and another export may be
    about to.

    Args:
        connect: Opens it.
        limit_s: The most seconds to try; the last refusal is then raised.
        is_stopped: Asked before each attempt after the first.
        on_wait: Told once, if it waits.

    Raises:
        ConnectionLimitError: The limit still holds, or a stop was asked for.
        SourceError: It cannot be opened for another reason.
    """
    ends_at, wait_s = time.monotonic() + limit_s, _FIRST_WAIT_S
    while True:
        try:
            return connect()
        except ConnectionLimitError as error:
            if is_stopped() or time.monotonic() + wait_s > ends_at:
                raise
            if on_wait is not None and wait_s == _LONGEST_WAIT_S:
                on_wait(f"{error.message}; waiting up to {limit_s:g} s for a free connection")
                on_wait = None
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def exports_that_fit(session: object) -> int | None:
    """Return how many exports may hold a connection each, once this session is closed.

    Returns:
        At least 1; None where the engine has no such limits.

    Raises:
        SourceError: The server cannot be asked.
    """
    if not isinstance(session, CountsConnections):
        return None
    free = session.free_connections() - CONNECTIONS_LEFT
    own = session.free_connections_of_user()
    return max(1 + (free if own is None else min(free, own)), 1)
