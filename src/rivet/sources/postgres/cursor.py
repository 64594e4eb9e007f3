"""Rows of a query by a server-side cursor: many short statements instead of one that lasts.

For whoever asks for it: a row is handed over cell by cell, which costs several times the client
time of COPY. The decoders are the same, so that the batches are, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, pq
from typing_extensions import override

from rivet.dial.counted import refuse_other_count
from rivet.dial.guarded import ANSWER_BYTES, drive, executed
from rivet.errors import InternalError
from rivet.model.arrow import arrow_schema
from rivet.model.span import WHOLE
from rivet.sources.postgres.faults import translated
from rivet.sources.postgres.read import CONVERTED, UNCHANGED, field_spec
from rivet.sources.rowsizes import most_bytes_of_row
from rivet.sources.stream import NO_LIMIT, WireStream
from rivet.wire import kernel

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rivet.model.relation import ReadRequest
    from rivet.model.span import Span
    from rivet.sources.postgres.read import SnapshotOwner
    from rivet.sources.postgres.unmapped import Texts
    from rivet.sources.slices import ProbeKeys, SliceTiming

_NAME: Final = "rivet_rows"
_PORTION_BYTES: Final = 1024 * 1024 * 1024


class CursorStream(WireStream):
    """The batches of one query, fetched in portions; each FETCH is a statement of its own.

    Args:
        owner: The session, whose snapshot the cursor lives in.
        statement: The SELECT.
        request: `fetch_rows` is the size of a portion.
        statement_timeout_s: For messages.
        texts: Of the session's connection.
    """

    def __init__(
        self,
        owner: SnapshotOwner,
        statement: str,
        request: ReadRequest,
        statement_timeout_s: float,
        texts: Texts,
    ) -> None:
        version = texts.connection.info.server_version
        fields = [field_spec(column, version) for column in request.columns]
        schema = arrow_schema(request.columns)
        limit = request.max_value_bytes or NO_LIMIT
        super().__init__(request, kernel.load().CopyDecoder(fields, schema, limit), self)
        self._owner = owner
        self._connection = texts.connection
        self._statement = statement
        self._timeout_s = statement_timeout_s
        self._texts = texts
        # A portion is kept whole: as many rows as were asked for, of whatever size.
        self._most_bytes = most_bytes_of_row(
            fields, request.max_value_bytes, _PORTION_BYTES + ANSWER_BYTES
        )
        self._portion: pq.abc.PGresult | None = None
        self._row = 0
        self._is_last = False
        self._received = 0

    @property
    def size(self) -> int:
        """How many rows a portion has."""
        return self._request.fetch_rows

    def next(self, took: SliceTiming | None) -> Span | None:
        """Return that there is another portion, as a slicer does; None after the last."""
        return None if took is not None and self._is_last else WHOLE

    @override
    def split_off(self, probe_keys: ProbeKeys, commit: Callable[[Span], None]) -> Span | None:
        """Give nothing: a cursor has one place."""
        return None

    @override
    def _begin(self, span: Span | None) -> None:
        if self._portion is None:
            self._run(f"DECLARE {_NAME} NO SCROLL CURSOR FOR {self._statement}")
        rows = self._request.fetch_rows
        fetch = f"FETCH FORWARD {rows} FROM {_NAME}"
        if self._texts.is_raw:
            self._run(UNCHANGED)
        with self._texts.named(lambda: self._counters.rows + self._decoder.rows, rows):
            self._portion = self._run(fetch)
        if self._texts.is_raw:
            self._run(CONVERTED)
        refuse_other_count(self._portion.command_tuples, self._portion.ntuples)
        self._is_last = self._portion.ntuples < rows
        self._row = 0

    def _run(self, statement: str) -> pq.abc.PGresult:
        """Run one statement with binary results; Ctrl-C works while waiting."""
        pgconn = self._connection.pgconn
        pgconn.send_query_params(statement.encode(), None, result_format=pq.Format.BINARY)
        watch = self._connection.watch(self._most_bytes)
        results = drive(executed(pgconn), pgconn.socket, watch)
        result: pq.abc.PGresult = results[-1]
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result)
        return result

    @override
    def _fill(self) -> bool:
        portion = self._portion
        if portion is None:
            msg = "rows were asked for before the cursor was opened"
            raise InternalError(msg)
        decoder, request = self._decoder, self._request
        places = range(portion.nfields)
        while self._row < portion.ntuples:
            cells = [portion.get_value(self._row, place) for place in places]
            self._received += sum(len(cell) for cell in cells if cell is not None)
            decoder.feed_row(cells)
            self._row += 1
            if decoder.rows >= request.batch_rows or decoder.arrow_bytes >= request.batch_bytes:
                return True
        return False

    @override
    def _restart(self) -> None:
        """Do nothing: a row of a cursor has no end of a stream behind it."""

    @override
    def _finish(self) -> None:
        self._run(f"CLOSE {_NAME}")

    @override
    def _received_bytes(self) -> int:
        return self._received

    @override
    def _translated(self, action: str) -> AbstractContextManager[None]:
        return translated(action, statement_timeout_s=self._timeout_s, started_at=self._started_at)

    @override
    def _cancel(self) -> None:
        self._owner.cancel()

    @override
    def _halt(self) -> None:
        if self._connection.info.transaction_status is pq.TransactionStatus.ACTIVE:
            self._owner.cancel()
        self._owner.abandon()
