"""Begin a transaction without waiting for ever: a pooler answers once a connection is free.

A pooler that lends connections for a transaction, and has none left, keeps a client waiting with
its first statement. Where the connections are held by the client itself, that would be for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, pq

from rivet.dial.guarded import FloodError, GivenUpError, SilentError, Watch, drive, executed
from rivet.errors import SourceInterruptedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.dial.guarded import Connection

LONG_WAIT_S: Final = 120.0


def execute_within(
    connection: Connection,
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
    pgconn = connection.pgconn
    pgconn.send_query(statements.encode())
    watch = Watch(
        pgconn.socket,
        patience_s=wait_s,
        is_stopped=is_given_up,
        grace_s=0.0,
        fuse=connection.fuse,
    )
    try:
        results = drive(executed(pgconn), pgconn.socket, watch)
    except GivenUpError:
        connection.close()
        msg = "the wait for a connection was given up"
        raise SourceInterruptedError(msg) from None
    except SilentError:
        connection.close()
        msg = f"no connection to the server became free within {wait_s:.0f} s"
        hint = "a pooler has too few: raise its pool size, or lower `parallel`"
        raise SourceUnavailableError(msg, hint=hint) from None
    except FloodError:
        connection.close()
        raise
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result)
