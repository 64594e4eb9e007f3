"""Refusals of a run, on SQLite: by plan, columns, window, destination and state."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

from support.hintcases.case import Case, body

if TYPE_CHECKING:
    from pathlib import Path

_STDOUT = {"type": "stdout"}
_LOCAL = {"type": "local", "path": "out/{export}"}
_QUERY = {"table": None, "query": "SELECT id, at FROM orders"}
_MANY = {"table": "many", "include": ["id", "day"]}
_MANY_ROWS = """
CREATE TABLE many (id INTEGER PRIMARY KEY, day DATE);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 110000)
INSERT INTO many SELECT i, date('1900-01-01', i || ' days') FROM n;
"""
_BY_AT = {"mode": "incremental", "cursor_column": "at"}
_BY_ID = {"mode": "incremental", "cursor_column": "id"}


def _chunked(**more: object) -> dict[str, object]:
    return {"mode": "chunked", **more}


def _export(broken, mended, *others, **rest):
    return {
        "broken": body(broken),
        "mended": body(mended),
        "others": tuple(map(body, others)),
        **rest,
    }


def _source(broken, mended, **rest):
    return {
        "broken": body(source={"type": "sqlite", **broken}),
        "mended": body(source={"type": "sqlite", **mended}),
        **rest,
    }


def _run_command(folder: Path, told: str) -> None:
    command = told[told.index("mv ") :]
    subprocess.run(shlex.split(command), cwd=folder, check=True)


def _foreign_state(folder: Path) -> None:
    (folder / ".rivet").mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection:
        connection.execute("CREATE TABLE runs (what TEXT)")


_SHOP = {"url": "sqlite:///shop.db"}
_FILE = "sources/files.py: "
_SHAPE = "plan/shapes.py: "
_RANGE = "plan/ranges.py: "
_COLUMN = "sources/columns.py: "

CASES = (
    Case(
        "plan/build.py: quote a name that holds a dot: table: 'public.\"a.b\"'",
        **_export({"table": "main.a.b"}, {"table": 'main."a.b"'}),
        before='CREATE TABLE "a.b" (x INTEGER); INSERT INTO "a.b" VALUES (1);',
    ),
    Case(
        "plan/build.py: remove `max_file_size`",
        **_export(
            {"destination": _STDOUT, "format": "csv", "max_file_size": "1MB"},
            {"destination": _STDOUT, "format": "csv"},
        ),
    ),
    Case(
        "plan/build.py: write to a `local` destination, or set `mode: full`",
        **_export(
            _chunked(destination=_STDOUT, format="csv", chunk_column="id", chunk_count=2),
            _chunked(destination=_LOCAL, format="csv", chunk_column="id", chunk_count=2),
            {"destination": _STDOUT, "format": "csv"},
        ),
    ),
    Case(
        _RANGE + "raise `chunk_size`, or give `chunk_count` instead",
        **_export(
            _chunked(chunk_column="id", chunk_size=1, **_MANY),
            _chunked(chunk_column="id", chunk_size=100_000, **_MANY),
            _chunked(chunk_column="id", chunk_count=2, **_MANY),
        ),
        before=_MANY_ROWS,
    ),
    Case(
        _RANGE + "use `chunk_by_days` for dates, or `chunk_dense: true` for anything with an order",
        **_export(
            _chunked(chunk_column="day", chunk_size=2),
            _chunked(chunk_column="day", chunk_by_days=30),
            _chunked(chunk_column="day", chunk_dense=True, chunk_size=2),
        ),
    ),
    Case(
        _RANGE + "use `chunk_dense: true`, which cuts by rows",
        **_export(
            _chunked(chunk_column="customer", chunk_by_days=2),
            _chunked(chunk_column="customer", chunk_dense=True, chunk_size=2),
        ),
    ),
    Case(
        _SHAPE + "it must have a unique index of its own",
        broken=body(_chunked(chunk_by_key="customer")),
        mend="CREATE UNIQUE INDEX u ON orders (customer)",
    ),
    Case(
        _SHAPE + "{}; this table has: {}",
        **_export(_chunked(chunk_by_key="customer"), _chunked(chunk_by_key="id")),
    ),
    Case(
        _SHAPE + "{} and be NOT NULL, in every table that inherits, too",
        broken=body(_chunked(chunk_by_key="day", keyset_incremental=True)),
        before="CREATE UNIQUE INDEX u ON orders (day)",
        mend="CREATE TABLE n (id INTEGER PRIMARY KEY, day DATE NOT NULL UNIQUE);"
        " INSERT INTO n SELECT id, day FROM orders; DROP TABLE orders;"
        " ALTER TABLE n RENAME TO orders",
    ),
    Case(
        _SHAPE
        + "give `chunk_column`, with `chunk_dense: true` for equal rows, or use `mode: full`",
        **_export(
            _chunked(table="bare"),
            _chunked(table="bare", chunk_column="a", chunk_dense=True),
            {"table": "bare"},
        ),
        before="CREATE TABLE x (a TEXT PRIMARY KEY) WITHOUT ROWID",
    ),
    Case(
        "plan/windows.py: choose a timestamp, a date or a whole number that grows",
        **_export({**_BY_AT, "cursor_column": "done"}, _BY_AT),
        before="ALTER TABLE orders ADD COLUMN done BOOLEAN",
    ),
    Case(
        "plan/windows.py: remove `lookback`",
        **_export(
            {**_BY_AT, "cursor_column": "customer", "lookback": "1d"},
            {**_BY_AT, "cursor_column": "customer"},
        ),
        begun=body({**_BY_AT, "cursor_column": "customer"}),
    ),
    Case(
        "execution/selection.py: Known exports: {}",
        broken=body(),
        options={"names": ["order"]},
        mended_options={"names": ["orders"]},
    ),
    Case(
        "execution/selection.py: run one of them alone: -e {}",
        broken=body(
            {"destination": _STDOUT, "format": "csv"},
            {"name": "b", "destination": _STDOUT, "format": "csv"},
        ),
        mended_options={"names": ["orders"]},
    ),
    Case(
        "execution/worker/enrich.py: columns of the export: {}",
        **_export({"meta_columns": {"row_hash": ["none"]}}, {"meta_columns": {"row_hash": ["id"]}}),
    ),
    Case(
        "execution/worker/enrich.py: turn off that meta column, or rename the column in a `query:`",
        **_export(
            {"meta_columns": {"exported_at": True}},
            {"meta_columns": {"exported_at": False}},
            {
                "meta_columns": {"exported_at": True},
                "table": None,
                "query": "SELECT id, _rivet_exported_at AS other FROM orders",
            },
        ),
        before="ALTER TABLE orders ADD COLUMN _rivet_exported_at TEXT",
    ),
    Case(
        "execution/worker/quality.py: columns of the export: {}",
        **_export({"quality": {"unique_columns": ["z"]}}, {"quality": {"unique_columns": ["id"]}}),
    ),
    Case(
        "execution/run/window.py: name the timestamp that tells a row's age in `settle.column`, "
        "or remove it",
        **_export(
            {**_BY_ID, "settle": {"after": "1h"}},
            {**_BY_ID, "settle": {"after": "1h", "column": "at"}},
            _BY_ID,
        ),
    ),
    Case(
        "execution/run/window.py: remove `cursor_zone`",
        **_export({**_BY_ID, "cursor_zone": "UTC"}, _BY_ID),
    ),
    Case(
        "execution/run/window.py: run the export itself",
        broken=body(),
        options={"backfill": ("1", "3")},
        mended_options={},
    ),
    Case(
        "execution/run/unstable_queries.py: remove `parallel` to read it as one statement, or set "
        "{}: {}",
        **_export(
            _chunked(
                table=None,
                query="SELECT id, random() AS r FROM orders",
                chunk_column="id",
                parallel=2,
                chunk_count=2,
            ),
            _chunked(
                table=None,
                query="SELECT id, random() AS r FROM orders",
                chunk_column="id",
                chunk_count=2,
            ),
            _chunked(
                table=None,
                query="SELECT id, random() AS r FROM orders",
                chunk_column="id",
                parallel=2,
                chunk_count=2,
                query_is_stable=True,
            ),
        ),
    ),
    Case(
        "execution/run/checks.py: set `consistency: export`, or run it without --reconcile",
        **_export(
            _chunked(chunk_column="id", chunk_count=2, consistency="chunk"),
            _chunked(chunk_column="id", chunk_count=2, consistency="export"),
        ),
        options={"reconcile": True},
    ),
    Case(
        "execution/run/begin.py: accept the change with `on_schema_drift: warn`, or restore the "
        "columns",
        **_export({"on_schema_drift": "fail"}, {"on_schema_drift": "warn"}),
        begun=body({"on_schema_drift": "fail"}),
        before="ALTER TABLE orders ADD COLUMN more TEXT",
    ),
    Case(
        "execution/run/prefix.py: move it away and run again, which writes a new one: {}",
        broken=body(),
        begun=body(),
        breaks=lambda folder: (folder / "out/orders/manifest.json").write_text("{"),
        mends=_run_command,
    ),
    # Files and their columns.
    Case(
        "destinations/placeholders.py: write placeholders as {date}",
        **_export(
            {"destination": {"type": "local", "path": "out/{"}},
            {"destination": {"type": "local", "path": "out/{date}"}},
        ),
    ),
    Case(
        _COLUMN + "the columns are: {}",
        **_export({"table": "bare", "exclude": ["a", "b"]}, {"table": "bare", "exclude": ["a"]}),
    ),
    Case(
        _COLUMN + "its columns are: {}",
        **_export({"include": ["none"]}, {"include": ["id"]}),
    ),
    Case(
        _COLUMN + "take them out of `exclude` or into `include`, or drop the rule",
        **_export(
            {"exclude": ["customer"], "mask": {"customer": "hash"}},
            {"mask": {"customer": "hash"}},
            {"exclude": ["customer"]},
        ),
    ),
    Case(
        "sources/sqlite/catalog.py: give each column its own name with AS",
        **_export(
            {"table": None, "query": "SELECT id, id FROM orders"},
            {"table": None, "query": "SELECT id, id AS again FROM orders"},
        ),
    ),
    Case(
        "sources/sqlite/read.py: override it with columns: {{}: {}}",
        **_export({"include": ["day"]}, {"include": ["day"], "columns": {"day": "text"}}),
        before="UPDATE orders SET day = 'soon' WHERE id = 2",
    ),
    Case(
        "sources/sqlite/read.py: override the column to binary, which keeps the stored bytes",
        **_export({}, {"columns": {"customer": "binary"}}),
        before="UPDATE orders SET customer = CAST(x'ff' AS TEXT) WHERE id = 2",
    ),
    Case(
        "sources/sqlite/read.py: raise tuning.max_value_mb",
        **_export({"tuning": {"max_value_mb": 1}}, {"tuning": {"max_value_mb": 8}}),
        before="UPDATE orders SET photo = zeroblob(3000000) WHERE id = 2",
    ),
    Case(
        "sources/sql.py: keep one SELECT per export",
        **_export(
            {"table": None, "query": "SELECT 1 AS a; SELECT 2 AS a"},
            {"table": None, "query": "SELECT 1 AS a"},
        ),
    ),
    Case(
        "sources/sql.py: write one SELECT statement",
        **_export(
            {"table": None, "query": "-- nothing"}, {"table": None, "query": "SELECT 1 AS a"}
        ),
    ),
    Case(
        "sources/seek.py: its columns are: {}",
        **_export({"mode": "incremental", "cursor_column": "none"}, _BY_AT),
    ),
    Case(
        "sources/nearnames.py: did you mean {}?",
        **_export({"table": "Orderz"}, {"table": "orders"}),
    ),
    Case(
        "sources/nearnames.py: the database has: {}",
        **_export({"table": "qqqqqq"}, {"table": "bare"}),
    ),
    # The file of the source.
    Case(
        _FILE + "check the path; relative paths start at the folder of the configuration",
        **_source({"url": "sqlite:///none.db"}, _SHOP),
    ),
    Case(
        _FILE + "write url: {}:///path/to/file.db",
        **_source({"url": "sqlite:///:memory:"}, _SHOP),
    ),
    Case(
        _FILE + "write {}:///relative/file.db or {}:////absolute/file.db",
        **_source({"url": "sqlite://shop.db"}, _SHOP),
    ),
    Case(
        _FILE + "remove them: a file's URL has none; a schema stands in `table: schema.name`",
        **_source({"url": "sqlite:///shop.db?mode=ro"}, _SHOP),
    ),
    Case(_FILE + "name the file itself", **_source({"path": "."}, {"path": "shop.db"})),
    Case(
        _FILE + "move it away",
        broken=body(),
        breaks=lambda folder: os.mkfifo(folder / "shop.db-wal"),
        mends=lambda folder, _: (folder / "shop.db-wal").rename(folder / "aside"),
    ),
    # The state.
    Case(
        "state/connecting.py: set it to a postgresql:// URL, or unset it to keep the state beside "
        "the configuration",
        broken=body(),
        env={"RIVET_STATE_URL": "nonsense"},
        mended_env={"RIVET_STATE_URL": ""},
    ),
    Case(
        "state/sqlite.py: move the file away; Rivet makes its own",
        broken=body(),
        breaks=_foreign_state,
        mends=lambda folder, _: (folder / ".rivet/state.db").rename(folder / "aside"),
    ),
)
