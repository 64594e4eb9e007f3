"""A PostgreSQL connection whose waits end: in time, in bytes, and when nobody waits any more.

psycopg waits for an answer as long as it takes and keeps all of it. Here every wait is watched: how
long the server is silent, how long an answer takes once it has begun, how many bytes it has.
"""

from __future__ import annotations

import select
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import psycopg
from psycopg import generators, pq
from psycopg.waiting import Ready, Wait
from typing_extensions import override

from rivet.dial.counted import refuse_other_count
from rivet.dial.ending import OpenEnd, awaited_end
from rivet.wire.fuse import Fuse
from rivet.wire.received import received_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


__all__ = ["ANSWER_BYTES", "Connection", "FloodError", "GivenUpError", "SilentError", "Watch"]
__all__ += ["drive", "executed", "fetched", "light"]

_R = TypeVar("_R")

ANSWER_BYTES: Final = 32 * 1024 * 1024
"""The most bytes of an answer that is no stream of rows; what waits in the kernel counts too."""

_MOST_ROWS: Final = 500_000
# Statements sent together are a handful; an empty result fills fifty times what it has on the wire.
_MOST_RESULTS: Final = 100
_LOOK_S: Final = 0.2
_GRACE_S: Final = 0.5
_CANCEL_S: Final = 1.0
# libpq would give such a result for every question.
_ENDLESS: Final = frozenset(
    {pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH}
)
_EVENTS: Final = {
    Wait.R: select.POLLIN,
    Wait.W: select.POLLOUT,
    Wait.RW: select.POLLIN | select.POLLOUT,
}


class SilentError(psycopg.OperationalError):
    """The server was silent for too long, or did not come to the end of an answer."""


class FloodError(psycopg.OperationalError):
    """The server sent more than an answer may have; asking again would give the same."""


class GivenUpError(psycopg.OperationalError):
    """Whoever wanted the connection, or its answer, is gone."""


class Watch:
    """Looks after one wait, and ends it by an error.

    Args:
        descriptor: The socket.
        patience_s: The most seconds of silence, and for the rest of an answer; 0 is no limit.
        most_bytes: The most that may come without `moved`; 0 is no limit.
        is_stopped: Whether nobody waits any more.
        grace_s: How long an answer may still take then.
        fuse: Ends the connection where too much comes within one call of libpq.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        patience_s: float = 0.0,
        most_bytes: int = ANSWER_BYTES,
        is_stopped: Callable[[], bool] | None = None,
        grace_s: float = _GRACE_S,
        fuse: Fuse | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._fuse = fuse
        self._patience_s = patience_s
        self._most_bytes = most_bytes
        self._is_stopped = is_stopped
        self._grace_s = grace_s
        self._stopped_at: float | None = None
        self.moved()

    def moved(self) -> None:
        """Take note that what was waited for came: a new wait begins."""
        self._base = self._received = received_bytes(self._descriptor)
        self._heard_at = time.monotonic()
        self._begun_at: float | None = None
        if self._fuse is not None:
            self._fuse.allow(self._most_bytes and self._base + self._most_bytes)

    def look(self, *, is_ready: bool = False) -> None:
        """End the wait where a limit is met.

        Args:
            is_ready: There was something to read.

        Raises:
            SilentError: The time is up.
            FloodError: Too much came.
            GivenUpError: Nobody waits any more.
        """
        now = time.monotonic()
        received = received_bytes(self._descriptor)
        if is_ready or received != self._received:
            self._received, self._heard_at = received, now
            self._begun_at = self._begun_at or now
        if 0 < self._most_bytes < received - self._base:
            raise self._flood()
        self.refuse_flood()
        if 0 < self._patience_s < now - self._heard_at:
            msg = f"the server sent nothing for {self._patience_s:g} s"
            raise SilentError(msg)
        if self._begun_at and 0 < self._patience_s < now - self._begun_at:
            msg = f"the server did not come to the end of an answer within {self._patience_s:g} s"
            raise SilentError(msg)
        if self._is_stopped is not None and self._is_stopped():
            self._stopped_at = self._stopped_at or now
            if now - self._stopped_at >= self._grace_s:
                msg = "the wait for an answer was given up"
                raise GivenUpError(msg)

    def refuse_flood(self) -> None:
        """Say why the connection is gone, where its fuse blew.

        Raises:
            FloodError: Too much came.
        """
        if self._fuse is not None and self._fuse.is_blown:
            raise self._flood()

    def _flood(self) -> FloodError:
        return FloodError(
            f"the server sent more than {self._most_bytes:,} bytes for one answer or row"
        )


def light(descriptor: int) -> Fuse:
    """Return a fuse that looks after a socket until it is told that that is over."""
    fuse = Fuse(descriptor)
    threading.Thread(target=fuse.burn, name="rivet-fuse", daemon=True).start()
    return fuse


class Connection(psycopg.Connection[Any]):
    """psycopg's connection over one that `rivet.dial.login` opened.

    Attributes:
        patience_s: As of `Watch`, for every answer.
        is_stopped: As of `Watch`, for every answer.
        answer_bytes: The most bytes of an answer.
        answer_rows: The most rows of an answer.
        grace_s: As of `Watch`.
        cancel_s: How long a wait that was cut short tries to cancel what runs; 0 does not.
        when_given_up: Called once a wait was given up.
        fuse: Looks after the socket while libpq reads; None where bytes cannot be counted.
        end_wait_s: How long the server's own end of the session is waited for when it is closed.
        keep_end: Given that end where it has not come by then.
    """

    patience_s: float = 0.0
    answer_bytes: int = ANSWER_BYTES
    answer_rows: int = _MOST_ROWS
    is_stopped: Callable[[], bool] | None = None
    grace_s: float = _GRACE_S
    cancel_s: float = _CANCEL_S
    when_given_up: Callable[[], None] | None = None
    fuse: Fuse | None = None
    end_wait_s: float = 0.0
    keep_end: Callable[[OpenEnd], None] | None = None

    @classmethod
    def over(cls, opened: pq.abc.PGconn, *, autocommit: bool = True) -> Self:
        """Wrap a connection; nothing is prepared under a name on it."""
        connection = cls(opened)
        connection.autocommit = autocommit
        connection.prepare_threshold = None
        connection.cursor_factory = _CountedCursor
        if received_bytes(opened.socket):
            connection.fuse = light(opened.socket)
            weakref.finalize(connection, connection.fuse.end)
        return connection

    def watch(self, most_bytes: int = ANSWER_BYTES) -> Watch:
        """Return a watch with this connection's limits."""
        return Watch(
            self.pgconn.socket,
            patience_s=self.patience_s,
            most_bytes=most_bytes,
            is_stopped=self.is_stopped,
            grace_s=self.grace_s,
            fuse=self.fuse,
        )

    @override
    def close(self) -> None:
        """Close; nobody has to look after the socket any more."""
        if self.fuse is not None:
            self.fuse.end()
        descriptor = -1 if self.closed else self.pgconn.socket
        with awaited_end(descriptor, self.end_wait_s, self.keep_end):
            super().close()

    @override
    def wait(
        self,
        gen: Generator[Any, Any, _R],
        interval: float = _LOOK_S,
        timeout: float | None = None,
    ) -> _R:
        """Drive one of psycopg's generators to its end, watched; a wait cut short closes."""
        try:
            return drive(gen, self.pgconn.socket, self.watch(self.answer_bytes))
        except (SilentError, FloodError, GivenUpError) as error:
            self.hang_up()
            if isinstance(error, GivenUpError) and self.when_given_up is not None:
                self.when_given_up()
            raise

    @override
    def _exec_command(
        self, command: Any, result_format: pq.Format = pq.Format.TEXT
    ) -> Generator[Any, Any, Any]:
        """Run what psycopg itself asks for, such as COMMIT, and keep few results."""
        if not isinstance(command, bytes) or result_format != pq.Format.TEXT:
            return (yield from super()._exec_command(command, result_format))
        self._check_connection_ok()
        self.pgconn.send_query(command)
        results = yield from executed(self.pgconn)
        statuses = [one.status for one in results]
        if statuses == [pq.ExecStatus.COMMAND_OK]:
            return results[0]
        if statuses and statuses[0] == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(results[0])
        msg = f"the server gave {len(results)} results for {command.decode()}"
        raise psycopg.InternalError(msg)

    def hang_up(self) -> None:
        """Cancel what runs, if the server listens, and close."""
        if self.cancel_s:
            with suppress(psycopg.Error):
                self.cancel_safe(timeout=self.cancel_s)
        self.close()


class _CountedCursor(psycopg.Cursor[Any]):
    """A cursor that hands over no more rows than answers have, and all that were sent."""

    @override
    def _maybe_prepare_gen(
        self, pgq: Any, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Generator[Any, Any, None]:
        """Run a query as psycopg does where nothing is prepared, and keep few results."""
        self._execute_send(pgq, binary=binary)
        results = yield from executed(self._pgconn)
        self._check_results(results)
        self._set_results(results)

    @override
    def fetchall(self) -> list[Any]:
        self._refuse_others()
        return super().fetchall()

    @override
    def fetchone(self) -> Any:
        self._refuse_others()
        return super().fetchone()

    def _refuse_others(self) -> None:
        result = self.pgresult
        if result is None:
            return
        most = getattr(self.connection, "answer_rows", _MOST_ROWS)
        if result.ntuples > most:
            msg = f"the server answered with more than {most:,} rows"
            raise FloodError(msg)
        if (result.command_status or b"").startswith((b"SELECT", b"FETCH")):
            refuse_other_count(result.command_tuples, result.ntuples)


def executed(pgconn: pq.abc.PGconn) -> Generator[Any, Any, list[Any]]:
    """Send what was put to a connection and yield waits until its results are there.

    As psycopg's generator of that name, but a server that sends results without end is left.

    Raises:
        FloodError: There are more results than statements sent together have.
    """
    yield from generators.send(pgconn)
    return (yield from fetched(pgconn))


def fetched(pgconn: pq.abc.PGconn) -> Generator[Any, Any, list[Any]]:
    """Yield waits until the results of what was sent are there, as `executed`.

    Raises:
        FloodError: There are more results than statements sent together have.
    """
    results: list[Any] = []
    while True:
        try:
            result = yield from generators.fetch(pgconn)
        except psycopg.DatabaseError:
            # The error that ended the connection says more than its end.
            if any(one.status == pq.ExecStatus.FATAL_ERROR for one in results):
                return results
            raise
        if result is None:
            return results
        results.append(result)
        if result.status in _ENDLESS:
            return results
        if len(results) > _MOST_RESULTS:
            msg = f"the server sent more than {_MOST_RESULTS} results for one answer"
            raise FloodError(msg)


def drive(gen: Generator[Any, Any, _R], descriptor: int, watch: Watch) -> _R:
    """Drive a generator of psycopg that waits for a socket; the watch may end it.

    Source:
        psycopg's documentation, "psycopg.waiting".
    """
    poll = select.poll()
    try:
        wanted = next(gen)
        while True:
            poll.register(descriptor, _EVENTS[Wait(wanted)])
            found = poll.poll(_LOOK_S * 1000)
            events = found[0][1] if found else 0
            can_read, can_write = events & ~select.POLLOUT, events & select.POLLOUT
            watch.look(is_ready=bool(can_read))
            ready = (Ready.R if can_read else 0) | (Ready.W if can_write else 0)
            wanted = gen.send(ready)
    except StopIteration as ended:
        watch.refuse_flood()
        value: _R = ended.value
        return value
    except psycopg.OperationalError:
        watch.refuse_flood()
        raise
