"""A state database in the schema `pyrivet` of a PostgreSQL that several hosts share.

Must not know what the tables mean. Safe behind a transaction pooler: nothing here relies on a
session outliving its transaction.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from rivet.errors import StateError, StateLockedError, StateVersionError
from rivet.redact import foreign
from rivet.state.connecting import ANSWER_BYTES, OUR_NAMES, Waits, engine, location
from rivet.state.database import SCHEMA, as_utc
from rivet.state.decoding import UnreadableRowError, damaged, unreadable
from rivet.state.fresh import REVISION
from rivet.state.pages import FIRST_ROWS, PAGE_BYTES, Tally, TooLongError
from rivet.state.shape import SHAPE, WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, CursorResult, Engine, TextClause

    from rivet.state.database import Row, Value

_ANEW: Final = (
    f"; where that is refused too, move the tables away (ALTER SCHEMA {SCHEMA} RENAME TO "
    f"{SCHEMA}_damaged) and repair with each configuration that shares them"
)
_LOCK_TIMEOUT_S: Final = 30
_STATEMENT_TIMEOUT_S: Final = 60
# One of another process may be waited for.
_MIGRATION_S: Final = 300.0
_CURSOR: Final = "rivet_page"


class PostgresDatabase:
    """One schema of one database, over a small pool of connections.

    Args:
        url: What `RIVET_STATE_URL` holds.
        patience_s: The longest silence of the server; None is the default.
    """

    def __init__(self, url: str, *, patience_s: float | None = None) -> None:
        self._url = url
        self._waits = Waits()
        self._engine = engine(self._url, "rivet state", self._waits, patience_s=patience_s)
        try:
            self.location = location(self._engine, url)
        except BaseException:
            self._engine.dispose()
            raise
        self._texts: dict[str, TextClause] = {}

    @property
    def schema(self) -> str:
        """The schema its tables are in."""
        return SCHEMA

    @contextmanager
    def read(self) -> Iterator[PostgresStatements]:
        """Open a read-only transaction that sees one instant."""
        with self._transaction("REPEATABLE READ, READ ONLY") as statements:
            yield statements

    @contextmanager
    def write(self, *, is_durable: bool = True) -> Iterator[PostgresStatements]:
        """Open a transaction; statements wait for each other by the rows they change."""
        with self._transaction("READ COMMITTED, READ WRITE") as statements:
            if not is_durable:
                statements.change("SET LOCAL synchronous_commit = off")
            yield statements

    @contextmanager
    def _transaction(self, characteristics: str) -> Iterator[PostgresStatements]:
        begun = self._engine.begin()
        with translated(self.location), begun as connection, self._waits.left(connection):
            connection.exec_driver_sql(
                f"SET TRANSACTION ISOLATION LEVEL {characteristics}; {OUR_NAMES};"
                f" SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s';"
                f" SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT_S}s';"
                " SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'"
            )
            yield PostgresStatements(connection, self._texts)

    def revision(self) -> str | None:
        """Return the schema revision; None where the schema is not there or empty.

        Raises:
            StateDamagedError: Its tables are not those of that revision.
            StateVersionError: They are not Rivet's.
        """
        version: str | None = None
        with self.read() as statements:
            row = statements.one(f"SELECT ({SHAPE}) AS shape")
            shape = frozenset(str(row["shape"] or "").split() if row else ())
            if any(told.startswith("alembic_version.version_num:") for told in shape):
                found = statements.one("SELECT version_num FROM pyrivet.alembic_version")
                version = None if found is None else str(found["version_num"])
        missing = sorted(WHOLE - shape)
        if (version == REVISION and missing) or (version is None and WHOLE & shape):
            names = ", ".join(told.partition(":")[0] for told in missing[:3]) or "no revision"
            what = f"its tables are not those that it was made with ({names})"
            raise damaged(self.location, what, otherwise=_ANEW)
        if version is None and shape:
            msg = f"schema {SCHEMA} of {self.location} holds the tables of another program"
            raise StateVersionError(msg, hint="point RIVET_STATE_URL at another database")
        return version

    def create(self) -> None:
        """Do nothing: a shared store is made by its migrations."""

    def check_whole(self) -> None:
        """Do nothing: a server watches over its own files."""

    def migration_engine(self) -> Engine:
        """Return an engine on the same database."""
        return engine(self._url, "rivet state migration", self._waits, patience_s=_MIGRATION_S)

    def prepare_migration(self, connection: Connection) -> None:
        """Shut every other migration out until the transaction ends; make the schema."""
        connection.exec_driver_sql(
            f"{OUR_NAMES}; SELECT pg_advisory_xact_lock({lock_key('migrate')})"
        )
        row = connection.exec_driver_sql(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'pyrivet'"
        ).first()
        if row is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")

    @contextmanager
    def migrating(self) -> Iterator[None]:
        """Translate what the migration engine raises."""
        with translated(self.location):
            yield

    def heed(self, is_stopped: Callable[[], bool]) -> None:
        """Let waits for the server end soon after this says so."""
        self._waits.is_stopped = is_stopped

    def left(self, connection: Connection) -> AbstractContextManager[None]:
        """Drop a connection where a signal ends the body."""
        return self._waits.left(connection)

    def lock_engine(self, purpose: str) -> Engine:
        """Return an engine for one connection of its own, named for the server's activity views."""
        return engine(self._url, purpose, self._waits)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


class PostgresStatements:
    """An open transaction on the server."""

    def __init__(self, connection: Connection, texts: dict[str, TextClause]) -> None:
        self._connection = connection
        self._texts = texts

    def _run(self, sql: str, values: Mapping[str, Value]) -> CursorResult[Any]:
        from sqlalchemy import text

        clause = self._texts.get(sql)
        if clause is None:
            clause = self._texts[sql] = text(sql)
        bound = {
            name: as_utc(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        return self._connection.execute(clause, bound)

    def all(self, sql: str, **values: Value) -> list[Row]:
        """Return every row of a query."""
        return [dict(row) for row in self._run(sql, values).mappings()]

    def many(self, sql: str, **values: Value) -> list[Row]:
        """Return every row of a query that may have very many."""
        return [row for page in self.pages(sql, **values) for row in page]

    def pages(self, sql: str, **values: Value) -> Iterator[list[Row]]:
        """Yield the rows of such a query by a cursor; a short list takes one statement."""
        opened: Any = self._connection.connection.dbapi_connection
        opened.answer_bytes = PAGE_BYTES
        try:
            short = f"SELECT * FROM ({sql}) AS page LIMIT {FIRST_ROWS + 1}"  # noqa: S608
            first = self.all(short, **values)
            tally = Tally()
            for row in first:
                tally.add(row.values())
            if len(first) <= FIRST_ROWS:
                yield first
                return
            page_rows, tally = tally.next_rows, Tally()
            self._run(f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {sql}", values)
            while page := self._fetched(page_rows):
                for row in page:
                    tally.add(row.values())
                yield page
                page_rows = tally.next_rows
            self.change(f"CLOSE {_CURSOR}")
        finally:
            opened.answer_bytes = ANSWER_BYTES

    def _fetched(self, rows: int) -> list[Row]:
        found = self._connection.exec_driver_sql(f"FETCH FORWARD {rows} FROM {_CURSOR}")
        return [dict(row) for row in found.mappings()]

    def one(self, sql: str, **values: Value) -> Row | None:
        """Return the first row of a query; None where it has none."""
        row = self._run(sql, values).mappings().first()
        return None if row is None else dict(row)

    def change(self, sql: str, **values: Value) -> int:
        """Run a statement and return how many rows it touched."""
        return int(self._run(sql, values).rowcount)

    def serialise(self, key: str) -> None:
        """Wait for every other transaction that holds the same key, then hold it to the end."""
        self._run("SELECT pg_advisory_xact_lock(:key)", {"key": lock_key(key)})


def lock_key(name: str) -> int:
    """Return the signed 64-bit advisory lock key of a name in this schema."""
    digest = blake2b(f"{SCHEMA}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


_LOCKED: Final = frozenset({"55P03", "40001", "40P01", "57014"})
_NOT_WRITABLE: Final = frozenset({"42501", "25006"})
# Rivet's own statements never fail so on its own tables: values, rows, tables, columns, schemas,
# rules and triggers that are not as it made them; pages that cannot be read.
_DAMAGED: Final = frozenset({"21", "22", "23", "27", "2F", "38", "39", "3F", "42", "44", "P0"})
_DAMAGED_TOO: Final = frozenset({"0A000", "55000", "XX001", "XX002"})


@contextmanager
def translated(location: str) -> Iterator[None]:
    """Turn errors of the driver into Rivet's, by their SQLSTATE.

    Source:
        PostgreSQL manual, appendix A, "PostgreSQL Error Codes".
    """
    from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

    from rivet.dial.guarded import FloodError

    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, FloodError):
            raise _too_long(location, error.orig) from error
        state = getattr(error.orig, "sqlstate", None) or ""
        reason = foreign(str(error.orig).strip().partition("\n")[0])
        if state in _LOCKED:
            msg = f"the state store {location} is held by another process"
            hint = "wait for the other Rivet to finish, then run the same command again"
            raise StateLockedError(msg, hint=hint) from error
        if state in _NOT_WRITABLE:
            msg = f"the state store {location} cannot be written: {reason}"
            hint = (
                "grant the user of RIVET_STATE_URL CREATE on the database and all rights on "
                f"schema {SCHEMA}, on a primary server"
            )
            raise StateError(msg, code="RIVET_STATE_NOT_WRITABLE", hint=hint) from error
        # Without a code it is the driver that cannot take a value, such as a time at infinity.
        is_value = not state and isinstance(error, DataError)
        if is_value or state[:2] in _DAMAGED or state in _DAMAGED_TOO:
            raise damaged(location, reason, otherwise=_ANEW) from error
        if not state or state[:2] in {"08", "28", "3D", "57", "53"}:
            msg = f"the state store {location} cannot be reached: {reason}"
            hint = "check RIVET_STATE_URL and that the server runs"
            raise StateError(msg, code="RIVET_STATE_UNREACHABLE", hint=hint) from error
        msg = f"the state store {location} failed: {reason}"
        raise StateError(msg, hint="check the server's log for the same moment") from error
    except TooLongError as error:
        raise _too_long(location, error) from error
    except UnreadableRowError as error:
        raise unreadable(location, error, otherwise=_ANEW) from error
    except SQLAlchemyError as error:
        msg = f"the state store {location} failed: {foreign(str(error).partition(chr(10))[0])}"
        raise StateError(msg, hint="check RIVET_STATE_URL and that the server runs") from error


def _too_long(location: str, error: object) -> StateError:
    msg = f"the state store {location} holds more than can be read at once: {error}"
    hint = "make fewer files with larger chunks, or check what RIVET_STATE_URL leads to"
    return StateError(msg, hint=hint)
