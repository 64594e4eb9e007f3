"""The demo's shop: a generated database and a commented configuration that exports it.

The same numbers every time, whatever the machine or the clock. Must not run an export: the command
does that with what this returns.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.config.load import load_config
from rivet.errors import RefusedError, SourceError, UnknownEngineError
from rivet.openfile import open_regular
from rivet.scaffold.private_server import private_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rivet.model.part import RecordedPart

    Say = Callable[[str], None]

_ROWS: Final = {
    "categories": 40,
    "products": 5_000,
    "customers": 60_000,
    "orders": 250_000,
    "order_lines": 640_000,
    "payments": 240_000,
    "shipments": 200_000,
    "reviews": 80_000,
}
_SIGNATURE: Final = "# Made by `rivet demo`"
_CONFIG: Final = "rivet.yaml"
_DATABASE: Final = "shop.db"
_DRAFT: Final = ".rivet-demo-shop.db"


@dataclass(frozen=True, slots=True)
class DemoShop:
    """A shop that can be exported.

    Attributes:
        config: The configuration, ready for `rivet run -c`.
        database: The SQLite file; None where a private server holds the shop.
        expected_rows: Export name to the rows its table or query has, counted by the database.
        survives_new_snapshot: Whether the database is still there after the demo.
    """

    config: Path
    database: Path | None
    expected_rows: dict[str, int]

    @property
    def survives_new_snapshot(self) -> bool:
        """Whether the configuration still works after the demo."""
        return self.database is not None

    def path_of(self, part: RecordedPart) -> Path:
        """Return where a part of one of the demo's exports is on this machine."""
        return Path(part.location)


@contextmanager
def make_demo(
    directory: Path, engine: str, *, rows_scale: float = 1.0, say: Say = lambda _line: None
) -> Iterator[DemoShop]:
    """Generate the shop and its configuration; a few seconds and about 90 MB at full scale.

    Args:
        directory: Made if it is not there. Files of an earlier demo are replaced, and so is its
            database; anything else is left alone.
        engine: `sqlite`, or `postgresql` for a private server that lives as long as the context.
        rows_scale: Part of the 1,475,040 rows to make; at least one row of each table remains.
        say: Takes one line of progress at a time.

    Raises:
        RefusedError: The directory holds files that are not the demo's.
        UnknownEngineError: The demo has no shop for this engine.
        SourceError: The database could not be made.
        MissingExtraError: No PostgreSQL programs for `postgresql`.

    Source:
        The multiplier 48271 modulo 2**31 - 1: Park and Miller, "Another test for randomness", 1993.
    """
    if engine not in _MAKERS:
        msg = f"the demo has no shop for '{engine}'"
        raise UnknownEngineError(msg, hint=f"choose one of: {', '.join(sorted(_MAKERS))}")
    directory = directory.absolute()
    _refuse_foreign(directory)
    rows = {table: max(1, round(count * rows_scale)) for table, count in _ROWS.items()}
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder {directory} cannot be made: {error.strerror}"
        raise SourceError(msg, hint="name a folder that you may write: rivet demo DIR") from error
    with _MAKERS[engine](directory, rows, say) as shop:
        yield shop


def _refuse_foreign(directory: Path) -> None:
    config = directory / _CONFIG
    if os.path.lexists(directory) and not directory.is_dir():
        msg = f"{directory} is no folder"
        raise RefusedError(msg, hint="name another folder: rivet demo DIR")
    if os.path.lexists(config):
        if not _is_ours(config):
            msg = f"{config} was not made by the demo, or its first line was changed"
            raise RefusedError(msg, hint="name another folder: rivet demo DIR")
        return
    for name in (_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm"):
        if os.path.lexists(directory / name):
            msg = f"{directory / name} is there already, without a configuration of the demo"
            raise RefusedError(msg, hint="name another folder: rivet demo DIR")


def _is_ours(config: Path) -> bool:
    try:
        with os.fdopen(open_regular(config, flags=os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE.encode()
    except OSError:
        return False


@contextmanager
def _sqlite_shop(directory: Path, rows: dict[str, int], say: Say) -> Iterator[DemoShop]:
    database = directory / _DATABASE
    started = time.monotonic()
    say(f"Making a shop database of {sum(rows.values()):,} rows in {len(rows)} tables ...")
    draft = database.with_name(_DRAFT)
    try:
        draft.unlink(missing_ok=True)
        _fill_sqlite(draft, rows)
        # A log of the old database must not be replayed into the new one.
        for rest in ("-wal", "-shm"):
            database.with_name(_DATABASE + rest).unlink(missing_ok=True)
        draft.replace(database)
    except (OSError, sqlite3.Error) as error:
        draft.unlink(missing_ok=True)
        msg = f"the shop database could not be made in {directory}: {error}"
        raise SourceError(msg, hint="make room, or name another folder: rivet demo DIR") from error
    size_mb = database.stat().st_size / 1e6
    say(f"{database}: {size_mb:.0f} MB in {time.monotonic() - started:.1f} s")
    config = _write_config(directory, "sqlite", f"sqlite:///{_DATABASE}")
    with closing(sqlite3.connect(database)) as connection:

        def count(sql: str) -> int:
            return int(connection.execute(sql).fetchone()[0])

        expected = _expected_rows(config, count)
    yield DemoShop(config, database, expected)


def _fill_sqlite(path: Path, rows: dict[str, int]) -> None:
    script = files("rivet.scaffold").joinpath("shop_sqlite.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Nothing to keep safe yet: a failure removes the draft.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        statement = ""
        for line in script.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                connection.execute(statement, rows)
                statement = ""
        connection.execute("COMMIT")
        connection.execute("ANALYZE")
        connection.execute("PRAGMA journal_mode = WAL")


@contextmanager
def _postgresql_shop(directory: Path, rows: dict[str, int], say: Say) -> Iterator[DemoShop]:
    started = time.monotonic()
    say("Starting a private PostgreSQL; it is stopped and removed at the end ...")
    with private_server() as server:
        say(f"Making a shop database of {sum(rows.values()):,} rows in {len(rows)} tables ...")
        with as_file(files("rivet.scaffold").joinpath("shop_postgresql.sql")) as script:
            server.run_script(script, rows)
        version = server.ask("SHOW server_version")
        say(f"PostgreSQL {version} is ready after {time.monotonic() - started:.1f} s")
        config = _write_config(directory, "postgresql", server.url)
        expected = _expected_rows(config, lambda sql: int(server.ask(sql)))
        yield DemoShop(config, None, expected)


def _write_config(directory: Path, engine: str, url: str) -> Path:
    template = files("rivet.scaffold").joinpath("shop.yaml").read_text(encoding="utf-8")
    config = directory / _CONFIG
    text = template.replace("@TYPE@", engine).replace("@URL@", url)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        with os.fdopen(open_regular(config, flags=flags, mode=0o644), "wb") as file:
            file.write(text.encode())
    except OSError as error:
        msg = f"{config} cannot be written: {error.strerror}"
        raise SourceError(msg, hint="make room, or name another folder: rivet demo DIR") from error
    return config


def _expected_rows(config: Path, count: Callable[[str], int]) -> dict[str, int]:
    expected = {}
    for export in load_config(config).exports:
        relation = export.table or f"(\n{export.query}\n) AS counted"
        expected[export.name] = count(f"SELECT count(*) FROM {relation}")  # noqa: S608 - our own file
    return expected


_MAKERS: Final = {"sqlite": _sqlite_shop, "postgresql": _postgresql_shop}
