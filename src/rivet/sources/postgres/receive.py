"""Receive a COPY stream batch by batch: from libpq straight into the kernel.

psycopg hands over one row at a time, which costs more client time than decoding it. Where the
kernel is compiled and libpq's own functions are found for certain, rows are pulled and decoded in
one loop outside the interpreter's lock; everywhere else psycopg is asked row by row. Errors of the
driver are raised as psycopg raises them; translating them is the caller's task.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psycopg import errors, pq, waiting

from rivet.dial.counted import refuse_other_count
from rivet.dial.guarded import Watch, drive, executed, fetched
from rivet.dial.library import copy_functions
from rivet.sources.postgres.gathering import FLOWING_MS, Gathering
from rivet.wire import pgcopy, plain, pump

if TYPE_CHECKING:
    from collections.abc import Generator

    from psycopg.pq.abc import PGconn

    from rivet.wire.pgcopy import CopyDecoder

__all__ = ["CopyReceiver", "start_copy"]

_TURN_S: Final = 0.2
_TLS_TURN_S: Final = 0.05
_NEAR_END: Final = 0.95
_TURN_BYTES: Final = 16 * 1024 * 1024


def start_copy(pgconn: PGconn, statement: bytes, watch: Watch | None = None) -> None:
    """Send a `COPY ... TO STDOUT` and wait until its stream begins.

    The server keeps its answer back until it has rows to send, so this can take as long as the
    query does. Signals are handled meanwhile, which a plain `exec_` would not do.

    Args:
        pgconn: psycopg's connection.
        statement: The COPY.
        watch: May end the wait.

    Raises:
        psycopg.Error: The server refused the statement or the connection broke.
    """
    pgconn.send_query(statement)
    results = drive(executed(pgconn), pgconn.socket, watch or Watch(pgconn.socket))
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result, encoding="utf-8")
    # Settings may stand before the COPY.
    if not results or results[-1].status != pq.ExecStatus.COPY_OUT:
        msg = "the server answered COPY with something else"
        raise errors.ProtocolViolation(msg)


class CopyReceiver:
    """One COPY ... TO STDOUT (FORMAT binary) on its way from a connection into a decoder.

    The connection must be in COPY OUT state: its last result has the status COPY_OUT. Until `fill`
    returns False or raises, nobody else may use it, apart from cancelling. Signals are handled at
    least five times a second, whatever the server does.

    Args:
        pgconn: psycopg's connection (`connection.pgconn`).
        decoder: Made for the columns of the statement.
        is_direct: False keeps to psycopg's own receive.
        expected_bytes: About how many bytes of COPY data will come; 0 where nobody knows.
        watch: Ends waits; one that ends nothing without it.
    """

    def __init__(
        self,
        pgconn: PGconn,
        decoder: CopyDecoder,
        *,
        is_direct: bool = True,
        expected_bytes: int = 0,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Watch(pgconn.socket, most_bytes=0)
        self._pgconn = pgconn
        self._decoder = decoder
        self._wire_bytes = 0
        self._rows_before = decoder.rows_in_all
        self._is_finished = False
        self._patience_ms = int((_TLS_TURN_S if pgconn.ssl_in_use else _TURN_S) * 1000)
        self._pump: pump.Pump | None = None
        able = is_direct and pump.is_compiled and isinstance(decoder, pgcopy.CopyDecoder)
        functions = copy_functions(pgconn) if able else None
        if functions:
            self._pump = pump.Pump(
                decoder,
                connection=functions.connection,
                descriptor=pgconn.socket,
                functions=functions.addresses,
                patience_ms=self._patience_ms,
                turn_bytes=_TURN_BYTES,
            )
            self._pump.set_expected(int(_NEAR_END * expected_bytes))

    @property
    def is_direct(self) -> bool:
        """Whether rows go from libpq to the kernel without psycopg."""
        return self._pump is not None

    @property
    def wire_bytes(self) -> int:
        """Bytes of COPY data received, without the protocol's five bytes per message."""
        return self._pump.wire_bytes if self._pump else self._wire_bytes

    def fill(self, max_rows: int, max_bytes: int) -> bool:
        """Receive into the decoder's open batch until it is full or the stream ends.

        Args:
            max_rows: Stop at this many rows in the open batch.
            max_bytes: Stop when the open batch has this many Arrow bytes; it may pass the limit by
                64 KiB or by one row, whichever is larger.

        Returns:
            True while more may come, False at the clean end.

        Raises:
            psycopg.Error: The server or the connection ended the COPY.
            SourceInterruptedError: The stream ended without its trailer.
            RowsLostError: The server says that it sent another number of rows.
            FormatError, StalePlanError, SourceError: As `CopyDecoder.feed`; the COPY is still
                running then, and the connection has to be cancelled or closed.
        """
        if self._is_finished:
            return False
        self._watch.moved()
        if self._pump:
            status = self._run(self._pump, max_rows, max_bytes)
        else:
            status = plain.WAITING
            while status == plain.WAITING:
                status = self._turn(max_rows, max_bytes)
        if status == plain.OK:
            return True
        self._is_finished = True
        self._watch.refuse_flood()
        sent = self._settle()
        if status == plain.LOST:
            raise errors.OperationalError(self._pgconn.get_error_message("utf-8"))
        self._decoder.finish()
        refuse_other_count(sent, self._decoder.rows_in_all - self._rows_before)
        return False

    def _run(self, direct: pump.Pump, max_rows: int, max_bytes: int) -> int:
        """Let the pump run in turns until the batch is full or the stream ends."""
        with Gathering(self._pgconn.socket) as gathering:
            status, before = plain.WAITING, -1
            while status == plain.WAITING:
                gathering.set_flowing(is_flowing=direct.wire_bytes > before)
                direct.set_patience(FLOWING_MS if gathering.is_flowing else self._patience_ms)
                before = direct.wire_bytes
                status = direct.run(max_rows, max_bytes)
                self._look(has_moved=direct.wire_bytes > before)
        return int(status)

    def _look(self, *, has_moved: bool) -> None:
        if has_moved:
            self._watch.moved()
        else:
            self._watch.look()
        while self._pgconn.notifies() is not None:
            pass  # libpq keeps what nobody takes

    def _turn(self, max_rows: int, max_bytes: int) -> int:
        """Do with psycopg's functions what `Pump.run` does with libpq's."""
        deadline = time.monotonic() + _TURN_S
        while time.monotonic() < deadline:
            try:
                size, data = self._pgconn.get_copy_data(1)
            except errors.OperationalError:
                return plain.LOST  # the result that follows says why
            if size > 0:
                self._wire_bytes += size
                self._watch.moved()
                self._decoder.feed(data)
                if self._decoder.rows >= max_rows or self._decoder.arrow_bytes >= max_bytes:
                    return plain.OK
            elif size < 0:
                return plain.END
            else:
                drive(_one_wait(), self._pgconn.socket, self._watch)
                self._pgconn.consume_input()
        return plain.WAITING

    def _settle(self) -> int | None:
        """Read the statement's results to the last; return how many rows the server says it sent.

        Raises:
            psycopg.Error: There is an error among them.
        """
        self._watch.moved()
        results = drive(fetched(self._pgconn), self._pgconn.socket, self._watch)
        sent: int | None = None
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result, encoding="utf-8")
            if (result.command_status or b"").startswith(b"COPY"):
                sent = result.command_tuples
        return sent


def _one_wait() -> Generator[waiting.Wait, waiting.Ready | int, None]:
    yield waiting.Wait.R
