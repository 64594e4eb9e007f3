"""Receive the rows of an unbuffered result: from the driver's socket straight into the kernel.

The driver has sent the statement and parsed the column definitions; what follows is read here in
large blocks, past the driver, which would make an object of every value. Nothing else knows the
driver's inside. Errors are raised as the driver raises them; translating them is the caller's task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pymysql import err
from pymysql.constants import CR

from rivet.errors import SourceQueryError
from rivet.wire import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.wire.mysqlrows import RowDecoder

__all__ = ["RowReceiver", "receive_from"]

_BLOCK_BYTES: Final = 1024 * 1024


class RowReceiver:
    """The rows of one result on their way into a decoder.

    Memory is one block, or the largest row where that is larger.

    Args:
        read_into: Waits for bytes, puts some into the buffer it is given and returns how many; 0 is
            the end of the connection.
        decoder: Made for the columns of the result.
        block_bytes: How much is received at once at the most.
    """

    def __init__(
        self,
        read_into: Callable[[memoryview], int],
        decoder: RowDecoder,
        *,
        block_bytes: int = _BLOCK_BYTES,
    ) -> None:
        self.read_into = read_into
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
            FormatError, StalePlanError, SourceError: As `RowDecoder.decode`; the server still sends
                then, and the connection has to be closed.
        """
        decoder = self._decoder
        while True:
            with memoryview(self._buffer) as whole:
                status = decoder.decode(
                    whole[self._start :], self._stop - self._start, max_rows, max_bytes
                )
            self._start += decoder.consumed
            if status == plain.OK:
                return True
            if status == plain.REFUSED:
                raise _server_error(decoder.server_error)
            if status == plain.END:
                decoder.finish()
                if decoder.has_more_results:
                    msg = "the query gives more than one result"
                    raise SourceQueryError(msg, hint="keep one SELECT per export")
                return False
            self._receive(decoder.needed)

    def _receive(self, needed: int) -> None:
        """Wait until the buffer holds `needed` bytes of what is not consumed, or is full.

        It grows by doubling: a length is only believed as far as bytes have come.
        """
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
                received = self.read_into(whole[self._stop :])
                if received == 0:
                    msg = "Lost connection to MySQL server during query"
                    raise err.OperationalError(CR.CR_SERVER_LOST, msg)
                self._stop += received
                self.wire_bytes += received


def _server_error(payload: bytes) -> err.MySQLError:
    """Return the error of an error packet; the driver's own reader trusts its bytes too much.

    Source:
        MySQL internals manual, "ERR_Packet".
    """
    number = int.from_bytes(payload[:2], "little")
    text = payload[2:]
    if text.startswith(b"#"):
        text = text[6:]
    return err.OperationalError(number, text.decode("utf-8", "replace"))


def receive_from(connection: Any, decoder: RowDecoder) -> RowReceiver:  # noqa: ANN401
    """Take over the result that a connection has just begun to receive, unbuffered.

    The driver believes from now on that the result is over; until it is, nobody else may use the
    connection. What the driver has read ahead comes first.
    """
    result = connection._result  # noqa: SLF001 - see docs/adr/0014
    result.unbuffered_active = False
    result.connection = None
    decoder.sequence = connection._next_seq_id  # noqa: SLF001
    ahead = connection._rfile  # noqa: SLF001
    read_into: Callable[[memoryview], int] = ahead.raw.readinto

    def read_ahead_into(target: memoryview) -> int:
        # One call empties the driver's small buffer, or reads from the socket where it is empty.
        receiver.read_into = read_into
        data = ahead.read1(len(target))
        target[: len(data)] = data
        return len(data)

    receiver = RowReceiver(read_ahead_into, decoder)
    return receiver
