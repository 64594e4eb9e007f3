"""The state that the Rust reference left behind: recognised, read from a copy, never written.

An incremental export with progress there must not silently start over: it stops until that
progress is taken over (`rivet state import`) or given up (`--fresh`).
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.errors import RefusedError, StateDamagedError, UnknownEngineError
from rivet.model.source import Position
from rivet.model.types import ALTERNATIVE
from rivet.redact import visible_line
from rivet.state import watermarks
from rivet.state.decoding import (
    UnreadableRowError,
    decoding,
    json_list,
    json_object,
    number,
)
from rivet.state.foreignfile import tables_of
from rivet.state.postgres import PostgresDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rivet.state.database import Row
    from rivet.state.store import StateStore

REFERENCE_FILE: Final = ".rivet_state.db"
REFERENCE_KIND: Final = "reference"
"""`Position.kind` of an imported cursor whose type the reference did not record."""

_LONGEST_REASON: Final = 200
_LONGEST_CURSOR: Final = 65_536
_TABLES: Final = ("export_state", "export_schema", "export_metrics")


@dataclass(frozen=True, slots=True)
class ReferenceCursor:
    """How far the reference got with one export; `native_type` as its database named it."""

    export_name: str
    text: str
    column: str | None
    native_type: str | None
    engine: str


@dataclass(frozen=True, slots=True)
class ReferenceState:
    """What the reference left.

    Attributes:
        location: Where, for people; holds no secret.
        cursors: One per export with progress that is clear.
        schemas: Export name to its last columns as (name, type as the reference writes it).
        unclear: Exports with progress against several sources at once, which cannot be mapped.
    """

    location: str
    cursors: tuple[ReferenceCursor, ...]
    schemas: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import took over, by export name.

    Attributes:
        cursors: Exports whose watermark was set.
        schemas: Exports whose columns were remembered.
        kept: Exports that had a watermark already, which stays.
        unclear: Exports whose progress could not be mapped.
    """

    cursors: tuple[str, ...]
    schemas: tuple[str, ...]
    kept: tuple[str, ...]
    unclear: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """Return what happened as sentences, one for each kind; never none."""
        told = (
            ("took over the progress of", self.cursors),
            ("took over the columns of", self.schemas),
            ("kept the progress this store has of", self.kept),
            ("could not tell which of several sources the progress belongs to of", self.unclear),
        )
        lines = tuple(f"{what} {', '.join(names)}" for what, names in told if names)
        return lines or ("there was nothing to take over",)


def find_reference_state(
    base_dir: Path, *, store: StateStore | None = None
) -> ReferenceState | None:
    """Read the reference's state, from its file beside the configuration or its shared tables.

    Args:
        base_dir: Folder of the configuration.
        store: An open store; where it is a PostgreSQL, the reference's tables are looked for in
            the `public` schema of the same database.

    Returns:
        None where there is none.

    Raises:
        StateError: There is one that cannot be read.
    """
    if store is not None and isinstance(store.database, PostgresDatabase):
        return _from_server(store.database)
    path = base_dir / REFERENCE_FILE
    return _from_file(path) if os.path.lexists(path) else None


def import_reference(
    store: StateStore, reference: ReferenceState, *, engine_name: Callable[[str], str] = str
) -> ImportReport:
    """Take the reference's cursors and columns over, in one transaction.

    An export that has a watermark or columns in the store keeps them, so that importing twice
    changes nothing.

    Args:
        store: Open.
        reference: What `find_reference_state` returned.
        engine_name: Gives the canonical name of an engine from the reference's name for it.
    """
    taken, kept, schemas = [], [], []
    with store.database.write() as db:
        for cursor in reference.cursors:
            if watermarks.find(db, cursor.export_name) is not None:
                kept.append(cursor.export_name)
                continue
            position = Position(
                _engine(cursor, reference.location, engine_name),
                cursor.native_type or REFERENCE_KIND,
                cursor.text,
            )
            watermarks.put(db, cursor.export_name, position, store.now(), covered_by=None)
            taken.append(cursor.export_name)
        for export_name, columns in reference.schemas:
            mapped = [(name, arrow_name(kind)) for name, kind in columns]
            known = [(name, kind) for name, kind in mapped if kind is not None]
            if len(known) < len(mapped) or watermarks.schema_of(db, export_name) is not None:
                continue
            watermarks.save_schema(db, export_name, known, store.now())
            schemas.append(export_name)
    return ImportReport(tuple(taken), tuple(schemas), tuple(kept), reference.unclear)


def _engine(cursor: ReferenceCursor, location: str, engine_name: Callable[[str], str]) -> str:
    if not cursor.engine:
        return ""
    try:
        return engine_name(cursor.engine)
    except UnknownEngineError as error:
        name = visible_line(cursor.export_name)[:_LONGEST_REASON]
        msg = f"the earlier state {location} cannot be read: the progress of '{name}' is of an "
        msg += "engine that this Rivet does not have"
        hint = "start that export over: `rivet run --fresh`"
        raise StateDamagedError(msg, hint=hint) from error


def refuse_unimported(store: StateStore, base_dir: Path, export_name: str) -> None:
    """Stop an incremental export whose progress only the reference knows.

    Called before anything is read from the source, unless the run is `--fresh`.

    Raises:
        RefusedError: The reference has progress for it, and the store has none.
        StateError: The reference's state cannot be read.
    """
    if store.watermark(export_name) is not None:
        return
    reference = find_reference_state(base_dir, store=store)
    if reference is None:
        return
    names = {cursor.export_name for cursor in reference.cursors} | {*reference.unclear}
    if export_name in names:
        msg = (
            f"export '{export_name}' has progress in {reference.location}, "
            "which another Rivet wrote and this one has not taken over"
        )
        hint = "run `rivet state import` to go on from there, or `rivet run --fresh` to start over"
        raise RefusedError(msg, code="RIVET_REFUSED_FOREIGN_STATE", hint=hint)


def _from_file(path: Path) -> ReferenceState | None:
    with _making_sense(f"file {path}", path):
        tables = tables_of(path, _TABLES, latest=("export_metrics",))
        return _decode(str(path), tables) if "export_state" in tables else None


@contextmanager
def _making_sense(what: str, path: Path | None = None) -> Iterator[None]:
    """Take every way in which a state can be wrong for damage.

    Raises:
        StateDamagedError: It cannot be what the reference wrote.
    """
    try:
        with decoding(what):
            yield
    except (sqlite3.Error, OSError, UnreadableRowError) as error:
        reason = "a row of it is not what that program writes"
        if isinstance(error, sqlite3.Error | OSError):
            reason = visible_line(getattr(error, "strerror", None) or str(error))[:_LONGEST_REASON]
        msg = f"the earlier state {what} cannot be read: {reason}"
        hint = "repair it with the program that made it"
        if path is not None:
            hint += f", or move it away to start without it: mv '{path}' '{path}.old'"
        raise StateDamagedError(msg, hint=hint) from error


def _from_server(database: PostgresDatabase) -> ReferenceState | None:
    with database.read() as db:
        found = [
            table
            for table in _TABLES
            if (row := db.one("SELECT to_regclass(:name) AS found", name=f"public.{table}"))
            and row["found"]
        ]
        if "export_state" not in found:
            return None
        tables = {table: db.many(f"SELECT * FROM public.{table}") for table in found}  # noqa: S608
    location = database.location.replace("schema pyrivet", "schema public")
    with _making_sense(location):
        return _decode(location, tables)


def _decode(location: str, tables: dict[str, list[Row]]) -> ReferenceState:
    """Make sense of the tables of any release: columns that are not there yet count as NULL."""
    metrics = sorted(tables.get("export_metrics", []), key=lambda row: number(row, "id"))
    types = {row["export_name"]: row for row in metrics if row.get("key_descriptor_json")}
    progress: dict[str, list[Row]] = {}
    for row in tables["export_state"]:
        name = _text(row["export_name"])
        if row.get("last_cursor_value") is not None:
            progress.setdefault(name, []).append(row)
    cursors = []
    for name, rows in sorted(progress.items()):
        if len(rows) == 1:
            cursors.append(_cursor(name, rows[0], types.get(name, {})))
    schemas = [
        (_text(row["export_name"]), _columns(row["columns_json"]))
        for row in tables.get("export_schema", [])
    ]
    unclear = tuple(name for name, rows in sorted(progress.items()) if len(rows) > 1)
    return ReferenceState(location, tuple(cursors), tuple(schemas), unclear)


def _columns(told: str) -> tuple[tuple[str, str], ...]:
    return tuple((_text(entry["name"]), _text(entry["type"])) for entry in json_list(told))


def _cursor(export_name: str, row: Row, metric: Row) -> ReferenceCursor:
    told = metric.get("key_descriptor_json")
    described = {} if told is None else json_object(told)
    column = row.get("cursor_column") or described.get("key")
    native_type = described.get("db_type") if described.get("key") == column else None
    return ReferenceCursor(
        export_name=export_name,
        text=_text(row["last_cursor_value"], _LONGEST_CURSOR),
        column=None if column is None else _text(column),
        native_type=None if native_type is None else _text(native_type),
        engine=_text(metric.get("source_type") or ""),
    )


def _text(value: object, longest: int = 4096) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError
    return value


_ARROW: Final = {
    "Boolean": "bool",
    "Int16": "int16",
    "Int32": "int32",
    "Int64": "int64",
    "UInt64": "uint64",
    "Float32": "float",
    "Float64": "double",
    "Utf8": f"string{ALTERNATIVE}extension<arrow.json>",
    "Binary": "binary",
    "Date32": "date32[day]",
    "FixedSizeBinary(16)": "extension<arrow.uuid>",
}
_UNITS: Final = {"Microsecond": "us", "µs": "us", "Nanosecond": "ns", "ns": "ns"}
_DECIMAL = re.compile(r"^(Decimal128|Decimal256)\((\d+), (\d+)\)$")
_TIME = re.compile(r"^Time64\((\w+)\)$")
_LIST = re.compile(
    r'^List\(Field \{ (?:name: "item", )?data_type: (.+?), nullable: true(?:, [^}]*)? \}\)$'
)
_TIMESTAMP = re.compile(r'^Timestamp\((\w+)(?:, (?:None|(?:Some\()?"(UTC|\+00:00)"\)?))?\)$')


def arrow_name(reference_name: str) -> str | None:
    """Return pyarrow's name of a type that the reference stored in its own spelling.

    Returns:
        The type, or those it may stand for with `ALTERNATIVE` between them: the reference keeps a
        JSON column as text. None where the spelling is not known.
    """
    if match := _LIST.match(reference_name):
        element = arrow_name(match[1])
        return element and ALTERNATIVE.join(
            f"list<item: {name}>" for name in element.split(ALTERNATIVE)
        )
    if plain := _ARROW.get(reference_name):
        return plain
    if match := _DECIMAL.match(reference_name):
        return f"{match[1].lower()}({match[2]}, {match[3]})"
    if (match := _TIME.match(reference_name)) and match[1] in _UNITS:
        return f"time64[{_UNITS[match[1]]}]"
    if (match := _TIMESTAMP.match(reference_name)) and match[1] in _UNITS:
        return f"timestamp[{_UNITS[match[1]]}{', tz=UTC' if match[2] else ''}]"
    return None
