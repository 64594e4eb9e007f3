"""The COPY rows of a libpq connection, received and decoded without the interpreter's lock.

Knows no driver: it is given the addresses of a connection and of three functions of libpq. Only
the compiled kernel can call an address, so this module has nothing to offer the interpreter.

Source:
    PostgreSQL manual, "Functions Associated with the COPY Command" and "Asynchronous Command
    Processing".
"""

# Cython has no stubs: the compiler checks the types of this file, and mypy cannot.
# mypy: ignore-errors
# The pump is the inner half of its decoder, and C fills `entry` in.
# ruff: noqa: C901, F821, PLR0911, PLR1714, SIM109, SLF001

from __future__ import annotations

import cython

from rivet.errors import InternalError

if cython.compiled:
    from cython.cimports.rivet.wire.native import END, LOST, NO_ROOM, OK, SHORT, WAITING, Source
    from cython.cimports.rivet.wire.pgcopy import CopyDecoder
    from cython.cimports.rivet.wire.pump import (
        POLLIN,
        ConsumeInput,
        FreeMemory,
        GetCopyData,
        poll,
        pollfd,
    )
else:
    from .pgcopy import CopyDecoder  # noqa: TC001 - the compiler needs it
    from .plain import END, LOST, NO_ROOM, OK, SHORT, WAITING

__all__ = ["Pump", "is_compiled"]

is_compiled: bool = bool(cython.compiled)


_MOST_ROUNDS = cython.declare(cython.int, 8)


@cython.cclass
class Pump:
    """Moves rows from a connection in COPY OUT state into a decoder.

    Args:
        decoder: Where the rows go.
        connection: The address of the `PGconn`; it must outlive the pump.
        descriptor: Its socket.
        functions: The addresses of PQgetCopyData, PQfreemem and PQconsumeInput, of the very
            library that made the connection.
        patience_ms: How long to wait for the server before the caller gets a turn.
        turn_bytes: How many bytes to receive before the caller gets a turn.
    """

    def __init__(
        self,
        decoder: CopyDecoder,
        *,
        connection: cython.size_t,
        descriptor: cython.int,
        functions: tuple,
        patience_ms: cython.int,
        turn_bytes: cython.Py_ssize_t,
    ) -> None:
        if not cython.compiled:
            msg = "the interpreted kernel cannot call libpq"
            raise InternalError(msg)
        get_copy_data: cython.size_t
        free_memory: cython.size_t
        consume_input: cython.size_t
        get_copy_data, free_memory, consume_input = functions
        self._decoder = decoder
        self._connection = cython.cast(cython.p_void, connection)
        self._get_copy_data = cython.cast(GetCopyData, get_copy_data)
        self._free_memory = cython.cast(FreeMemory, free_memory)
        self._consume_input = cython.cast(ConsumeInput, consume_input)
        self._descriptor = descriptor
        self._patience_ms = patience_ms
        self._turn_bytes = turn_bytes
        self._size = self.wire_bytes = self._expected_bytes = 0

    def __dealloc__(self) -> None:
        if cython.compiled:
            self._drop()

    def set_patience(self, patience_ms: cython.int) -> None:
        """Set how long one wait for data may take, in milliseconds."""
        self._patience_ms = patience_ms

    def set_expected(self, expected_bytes: cython.Py_ssize_t) -> None:
        """Set after how many bytes a wait may take one millisecond at most, as the end is near."""
        self._expected_bytes = expected_bytes

    def run(self, max_rows: cython.Py_ssize_t, max_bytes: cython.Py_ssize_t) -> int:
        """Receive until the open batch is full.

        Returns:
            OK: The open batch has `max_rows` rows or `max_bytes` bytes.
            WAITING: The caller's turn; call again.
            END: The server sent all of it; its verdict is the connection's next result.
            LOST: The server gave up or the connection broke; the next result says why.

        Raises:
            RivetError: As `CopyDecoder.feed`.
        """
        status: cython.int
        piece: bytes
        while True:
            with cython.nogil:
                status = self._drive(max_rows, max_bytes)
            if status == NO_ROOM:
                self._decoder.make_room()
            elif status == SHORT:
                # A row in several messages: the server does not do that, a proxy may.
                piece = self._message[self._decoder._position : self._size]
                self._drop()
                self._decoder.feed(piece)
            elif status == OK or status == WAITING or status == END or status == LOST:
                return status
            else:
                self._drop()
                raise self._decoder.refuse(status)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _drive(self, max_rows: cython.Py_ssize_t, max_bytes: cython.Py_ssize_t) -> cython.int:
        size: cython.int
        status: cython.int
        received: cython.Py_ssize_t = 0
        unmeasured: cython.Py_ssize_t = 0
        step: cython.Py_ssize_t = max(1, min(65_536, max_bytes // 16))
        is_idle: cython.bint = False
        rounds: cython.int = 0
        while True:
            if self._size == 0:
                size = self._get_copy_data(self._connection, cython.address(self._message), 1)
                if size < 0:
                    return END if size == -1 else LOST
                if size == 0:
                    status = self._await_input(is_idle)
                    if status != OK:
                        return status
                    is_idle = True
                    rounds += 1
                    # A row that never ends must not keep the caller from looking.
                    if rounds >= _MOST_ROUNDS:
                        return WAITING
                    continue
                is_idle = False
                rounds = 0
                self._size = size
                self.wire_bytes += size
                received += size
                unmeasured += size
                self._decoder._position = 0
                if self._decoder._held > 0:
                    return SHORT
            status = self._decoder.decode(cython.cast(Source, self._message), self._size)
            if status != OK and status != END:
                return status
            self._drop()
            if self._decoder._row >= max_rows:
                return OK
            if unmeasured >= step:
                unmeasured = 0
                if self._decoder._columns.used_bytes(self._decoder._row) >= max_bytes:
                    return OK
            if received >= self._turn_bytes:
                return WAITING

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _await_input(self, is_idle: cython.bint) -> cython.int:
        """Read what has arrived; wait for more only where that alone gave no whole row.

        The socket is asked before it is waited for, since TLS may hold bytes that a wait on the
        socket does not see.
        """
        entry: pollfd
        patience: cython.int
        if is_idle and cython.compiled:
            entry.fd = self._descriptor
            entry.events = POLLIN
            entry.revents = 0
            patience = 1 if 0 < self._expected_bytes <= self.wire_bytes else self._patience_ms
            if poll(cython.address(entry), 1, patience) <= 0:
                return WAITING
        return OK if self._consume_input(self._connection) == 1 else LOST

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _drop(self) -> cython.int:
        if self._size > 0:
            self._size = 0
            self._free_memory(self._message)
        return OK
