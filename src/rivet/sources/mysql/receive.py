"""Receive the rows of an unbuffered result: from the driver's socket straight into the kernel.

The driver has sent the statement and parsed the column definitions; what follows is read here in
large blocks, past the driver, which would make an object of every value. Nothing else knows the
driver's inside. Errors are raised as the driver raises them; translating them is the caller's task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pymysql import err
from pymysql.constants import CR

from rivet.errors import FormatError, RowsLostError, SourceError, SourceQueryError
from rivet.sources.mysql.guarded import server_error
from rivet.wire import plain

if TYPE_CHECKING:
    from rivet.sources.mysql.bounded import BoundedSocket
    from rivet.wire.mysqlrows import RowDecoder

__all__ = ["RowReceiver", "receive_from"]

_BLOCK_BYTES: Final = 1024 * 1024
_HEADER_BYTES: Final = 4


class Line(Protocol):
    """What a receiver needs of a socket."""

    def expect(self, *, is_next: bool = False) -> None:
        """Begin to wait."""
        ...

    def read_into(self, target: memoryview) -> int:
        """Wait for bytes, put some into a buffer and return how many; 0 is the end."""
        ...


class RowReceiver:
    """The rows of one result on their way into a decoder.

    Memory is one block, or the largest row where that is larger.

    Args:
        line: Where the bytes come from.
        decoder: Made for the columns of the result.
        max_row_bytes: The largest row.
        block_bytes: How much is received at once at the most.
    """

    def __init__(
        self,
        line: Line,
        decoder: RowDecoder,
        max_row_bytes: int,
        *,
        block_bytes: int = _BLOCK_BYTES,
    ) -> None:
        self._line = line
        self._max_row_bytes = max_row_bytes
        self._decoder = decoder
        self._block_bytes = block_bytes
        self._buffer = bytearray(block_bytes)
        self._start = self._stop = 0
        self.wire_bytes = 0

    def fill(self, max_rows: int, max_bytes: int) -> bool:
        """Receive into the decoder's open batch until it is full or the result ends.

        Args:
            max_rows: Stop at this many rows in the open batch.
            max_bytes: Stop when the open batch has this many Arrow bytes; it may pass the limit by
                64 KiB or by one row, whichever is larger.

        Returns:
            True while more may come, False at the clean end.

        Raises:
            pymysql.Error: The server ended the result with an error, or the connection broke.
            SourceQueryError: The statement gives more than one result.
            RowsLostError: A packet has not the number that follows the one before.
            FormatError, StalePlanError, SourceError: As `RowDecoder.decode`; the server still sends
                then, and the connection has to be closed.
        """
        decoder = self._decoder
        while True:
            with memoryview(self._buffer) as whole:
                try:
                    status = decoder.decode(
                        whole[self._start :], self._stop - self._start, max_rows, max_bytes
                    )
                except SourceError:
                    self._refuse_lost(whole[self._start + decoder.consumed : self._stop])
                    raise
            self._start += decoder.consumed
            if status == plain.OK:
                return True
            if status == plain.REFUSED:
                raise server_error(decoder.server_error)
            if status == plain.END:
                decoder.finish()
                if decoder.has_more_results:
                    msg = "the query gives more than one result"
                    raise SourceQueryError(msg, hint="keep one SELECT per export")
                return False
            self._receive(decoder.needed)

    def _refuse_lost(self, packet: memoryview) -> None:
        """Tell what was lost or doubled on the way from other bytes that are no rows.

        Raises:
            RowsLostError: The packet has another number than the one that is due.
        """
        due = self._decoder.sequence
        if len(packet) >= _HEADER_BYTES and packet[3] != due:
            msg = f"rows were lost or doubled on the way: packet {packet[3]} came and not {due}"
            hint = "run it again; if it stays, connect to the server itself, not through a proxy"
            raise RowsLostError(msg, hint=hint)

    def _receive(self, needed: int) -> None:
        """Wait until the buffer holds `needed` bytes of what is not consumed, or is full.

        It grows by doubling: a length is only believed as far as bytes have come.
        """
        if needed > self._max_row_bytes:
            msg = f"a row is larger than {self._max_row_bytes:,} bytes"
            hint = "raise tuning.max_value_mb, or leave large columns out"
            raise FormatError(msg, hint=hint, code="RIVET_VALUE_TOO_LARGE")
        self._line.expect(is_next=True)
        left = self._stop - self._start
        if self._start:
            self._buffer[:left] = self._buffer[self._start : self._stop]
            self._start, self._stop = 0, left
        size = len(self._buffer)
        if needed > size:
            if left == size:
                self._buffer.extend(bytes(min(needed - size, size)))
            needed = min(needed, len(self._buffer))
        elif left == 0 and len(self._buffer) > self._block_bytes:
            self._buffer = bytearray(self._block_bytes)
        with memoryview(self._buffer) as whole:
            while self._stop < needed:
                received = self._line.read_into(whole[self._stop :])
                if received == 0:
                    msg = "Lost connection to MySQL server during query"
                    raise err.OperationalError(CR.CR_SERVER_LOST, msg)
                self._stop += received
                self.wire_bytes += received


def receive_from(connection: Any, decoder: RowDecoder, max_row_bytes: int) -> RowReceiver:  # noqa: ANN401
    """Take over the result that a connection has just begun to receive, unbuffered.

    The driver believes from now on that the result is over; until it is, nobody else may use the
    connection. What has been read ahead comes first.
    """
    result = connection._result  # noqa: SLF001 - see docs/adr/0014
    result.unbuffered_active = False
    result.connection = None
    decoder.sequence = connection._next_seq_id  # noqa: SLF001
    line: BoundedSocket = connection.line
    return RowReceiver(line, decoder, max_row_bytes)
