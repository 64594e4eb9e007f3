"""Begin a transaction without waiting for ever: a pooler answers once a connection is free.

A pooler that lends connections for a transaction, and has none left, keeps a client waiting with
its first statement. Where the connections are held by the client itself, that would be for ever.
"""

from __future__ import annotations

import select as polling
import time
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors, pq

from rivet.errors import SourceInterruptedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

LONG_WAIT_S: Final = 120.0
_LOOK_S: Final = 0.2


def execute_within(
    connection: psycopg.Connection[Any],
    statements: str,
    wait_s: float,
    is_given_up: Callable[[], bool],
) -> None:
    """Run statements that take no time by themselves and give no rows.

    Args:
        connection: Idle; closed where no answer came in time.
        statements: Sent together.
        wait_s: The most seconds to wait for the answer.
        is_given_up: Asked now and then.

    Raises:
        SourceUnavailableError: No answer came in time.
        SourceInterruptedError: Whoever waited gave up.
        psycopg.Error: The server refused a statement, or the connection broke.
    """
    deadline = time.monotonic() + wait_s
    pgconn = connection.pgconn
    pgconn.send_query(statements.encode())
    poll = polling.poll()
    while pgconn.flush():
        poll.register(pgconn.socket, polling.POLLOUT)
        poll.poll(_LOOK_S * 1000)
    poll.register(pgconn.socket, polling.POLLIN)
    while pgconn.is_busy():
        if is_given_up():
            connection.close()
            msg = "the wait for a connection was given up"
            raise SourceInterruptedError(msg)
        if time.monotonic() > deadline:
            connection.close()
            msg = f"no connection to the server became free within {wait_s:.0f} s"
            hint = "a pooler has too few: raise its pool size, or lower `parallel`"
            raise SourceUnavailableError(msg, hint=hint)
        if poll.poll(_LOOK_S * 1000):
            pgconn.consume_input()
    _take_results(pgconn)


def _take_results(pgconn: pq.abc.PGconn) -> None:
    refusal: psycopg.Error | None = None
    while (result := pgconn.get_result()) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR and refusal is None:
            refusal = errors.error_from_result(result)
    if refusal is not None:
        raise refusal
