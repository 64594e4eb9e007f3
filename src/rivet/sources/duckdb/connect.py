"""Open a DuckDB file read-only; the one way every command reaches one.

A file that is open to read cannot be opened to write, so all of a session is one instant. Must not
create the file or change it; what a large sort spills goes to a folder of its own.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb

from rivet.errors import InternalError, SourceError, SourceQueryError
from rivet.model.window import Horizon
from rivet.redact import visible
from rivet.sources.columns import refuse_changed
from rivet.sources.duckdb.catalog import columns_of, facts_of, find_table, source_sql, table_sizes
from rivet.sources.duckdb.faults import open_error, translated
from rivet.sources.duckdb.keys import KeySpelling
from rivet.sources.duckdb.memory import QUERY_BYTES, table_bytes
from rivet.sources.duckdb.read import ArrowStream
from rivet.sources.duckdb.repeats import CatalogDefinitions
from rivet.sources.duckdb.scratch import Scratch
from rivet.sources.duckdb.types import DIALECT, expression, plan_columns
from rivet.sources.files import check_file, database_path
from rivet.sources.repeats import doubt_of
from rivet.sources.seek import question_sql, where
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from rivet.model.columns import Column, ColumnRules
    from rivet.model.owner import SourceIdentity
    from rivet.model.relation import Doubt, KeyProbe, ReadRequest, Relation, TableFacts
    from rivet.model.source import Position, SessionSettings, SourceAddress
    from rivet.model.span import Span

_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": "1",
    # A query reads this database: no other file, no network, no variable of the program.
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_STREAM_BYTES: Final = 16 * 1024 * 1024


def check_address(address: SourceAddress) -> None:
    """Refuse an address without a database file that may be read; nothing in it is looked at.

    Raises:
        ConfigError: It names no file, or a database in memory.
        SourceError: The file is not there or may not be read.
    """
    _checked(address)


def _checked(address: SourceAddress) -> Path:
    path = database_path(address, scheme="duckdb", title="DuckDB")
    check_file(path, logs=(".wal",))
    return path


def connect(address: SourceAddress, settings: SessionSettings) -> DuckdbSession:
    """Open a session on a file that exists; there are no timeouts to set.

    Raises:
        ConfigError: The address names no file.
        SourceError: The file does not exist or is not a DuckDB database.
        SourceAuthError: The file may not be read.
        SourceUnavailableError: Another process has the file open to write.
    """
    del settings
    path = _checked(address)
    try:
        scratch = Scratch.of(path)
    except OSError as error:
        msg = f"no folder for what does not fit into memory can be made: {error.strerror}"
        raise SourceError(msg, hint="set TMPDIR to a folder that can be written") from error
    try:
        config = {**_SETTINGS, "temp_directory": str(scratch.folder)}
        try:
            connection = duckdb.connect(str(path), read_only=True, config=config)
        except duckdb.Error as error:
            raise open_error(error, path) from error
        with translated(f"preparing a session on {path}"):
            connection.execute("SET TimeZone = 'UTC'")
    except BaseException:
        scratch.leave()
        raise
    return DuckdbSession(connection, path, scratch)


@dataclass(slots=True)
class DuckdbSession:
    """One read-only connection to one file; only `cancel` may be called from another thread."""

    connection: Any
    path: Path
    scratch: Scratch
    _stream: ArrowStream | None = field(default=None)
    _is_left: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        with suppress(duckdb.Error):
            self.connection.close()
        if not self._is_left:
            self._is_left = True
            self.scratch.leave()

    def facts(self, relation: Relation) -> TableFacts:
        """Read the key and the row estimate."""
        with translated(f"looking up {visible(relation.label)}"):
            return facts_of(self.connection, relation)

    def estimates(self, relations: Sequence[Relation]) -> tuple[int | None, ...]:
        """Return the estimated rows of tables; see `EstimatesSizes`."""
        with translated("looking up sizes"):
            return table_sizes(self.connection, relations)

    def columns(self, relation: Relation, rules: ColumnRules) -> tuple[Column, ...]:
        """Describe a relation's columns under the user's rules; reads no row."""
        with translated(f"describing {visible(relation.label)}"):
            natives = columns_of(self.connection, relation)
        return plan_columns(natives, rules)

    def read(self, request: ReadRequest) -> ArrowStream:
        """Stream a relation.

        Raises:
            StalePlanError: A column is gone or has another type than when it was described.
        """
        if self._stream is not None:
            msg = "a DuckDB session reads one relation at a time"
            raise InternalError(msg)
        relation = request.relation
        with translated(f"reading {visible(relation.label)}"):
            natives = columns_of(self.connection, relation)
            now = {one.name: one.type for one in natives}
            refuse_changed(now, request.columns, relation.label)
            spelling = KeySpelling.of(natives)
            condition = where(request.spans, spelling)
            spelling.bind(self.connection)
            source = source_sql(self.connection, relation)
            memory, width = QUERY_BYTES, 0
            if _is_stored(self.connection, relation):
                memory, width = table_bytes(self.connection, source, request.columns)
            self.connection.execute(f"SET memory_limit = '{memory} bytes'")
        statement = select([expression(column) for column in request.columns], source) + condition
        rows = max(1, _STREAM_BYTES // width) if width else request.batch_rows
        request = replace(request, batch_rows=min(request.batch_rows, rows))
        self._stream = ArrowStream(request, self.connection, statement, self._ended)
        return self._stream

    def probe_keys(self, question: KeyProbe) -> list[tuple[str, ...]]:
        """Say where the values of a key lie, see `AnswersKeyProbes`."""
        relation = question.relation
        with translated(f"looking for keys of {visible(relation.label)}"):
            spelling = KeySpelling.of(columns_of(self.connection, relation))
            source = source_sql(self.connection, relation)
            statement = question_sql(question, source, spelling, DIALECT)
            spelling.bind(self.connection)
            rows = self.connection.execute(statement).fetchall()
        return [tuple(str(value) for value in row) for row in rows]

    def doubt(self, relation: Relation) -> Doubt | None:
        """Return why a relation's rows may differ each time, see `JudgesRepeats`."""
        with translated(f"looking up what {visible(relation.label)} reads"):
            return doubt_of(relation, DIALECT, CatalogDefinitions(self.connection))

    def commit_horizon(self, *, is_zoned: bool) -> Horizon:
        """Return the clock: nobody writes to a file that is open for reading."""
        with translated("asking for the time"):
            sql = "SELECT CAST(now() AT TIME ZONE 'UTC' AS VARCHAR)"
            ((now,),) = self.connection.execute(sql).fetchall()
        return Horizon(
            datetime.fromisoformat(str(now)).replace(tzinfo=UTC), offset="+00" if is_zoned else ""
        )

    def begin(self, relation: Relation, others: Sequence[DuckdbSession] = ()) -> Position | None:
        """Do nothing: nobody writes to a file that is open for reading."""
        if others:
            msg = f"{visible(relation.label)}: a DuckDB file is read by one session"
            raise SourceQueryError(msg, hint="use `parallel: 1`")
        return None

    def release(self) -> None:
        """Do nothing: a file that is open has one instant."""

    def ping(self) -> None:
        """Ask for something small, see `HasSnapshots`."""
        with translated("asking whether it is there"):
            self.connection.execute("SELECT 1").fetchall()

    @property
    def has_snapshot(self) -> bool:
        """Whether the session is in the instant of its reads: it always is."""
        return True

    def count(self, relation: Relation, spans: Sequence[Span] = ()) -> int:
        """Count the rows that all spans hold exactly."""
        with translated(f"counting {visible(relation.label)}"):
            spelling = KeySpelling.of(columns_of(self.connection, relation))
            condition = where(spans, spelling)
            spelling.bind(self.connection)
            statement = select(["count(*)"], source_sql(self.connection, relation)) + condition
            ((rows,),) = self.connection.execute(statement).fetchall()
        return int(rows)

    def position(self) -> Position | None:
        """Return None: a DuckDB file has no history to have a place in."""
        return None

    def identity(self, relation: Relation) -> SourceIdentity:
        """Return the file and the table in it, see `TellsIdentity`."""
        from rivet.model.owner import SourceIdentity
        from rivet.sources.identity import query_name

        if relation.query is not None:
            name = query_name(relation.query)
        else:
            with translated(f"describing {visible(relation.label)}"):
                schema, table, _ = find_table(self.connection, relation)
            name = f"{schema}.{table}"
        return SourceIdentity(str(self.path.resolve()), name)

    def cancel(self) -> None:
        """Stop the running statement; callable from any thread."""
        with suppress(duckdb.Error):
            self.connection.interrupt()

    def server_version(self) -> str:
        """Return the version of the DuckDB library."""
        return f"DuckDB {duckdb.__version__}"

    def _ended(self) -> None:
        self._stream = None


def _is_stored(connection: Any, relation: Relation) -> bool:  # noqa: ANN401
    """Whether a relation is a table, whose rows only have to be fetched."""
    return relation.table is not None and find_table(connection, relation)[2] is not None
