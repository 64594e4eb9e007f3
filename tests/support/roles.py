"""Roles of a test's own on real servers, and runs that read as one of them."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import duckdb

import rivet as library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rivet import ExportReport
    from support.databases import MariaDatabase, PostgresDatabase

PASSWORD = "p4ss-0f-tests"


def url_as(url: str, role: str, password: str = PASSWORD) -> str:
    """Return a URL with another user."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{place}"))


@contextmanager
def postgres_role(database: PostgresDatabase, options: str = "") -> Iterator[str]:
    """Make a role that may log in and nothing else; dropped with all its rights afterwards."""
    name = f"reader_{uuid.uuid4().hex[:10]}"
    database.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {options}", admin=True)
    try:
        yield name
    finally:
        database.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}", admin=True)


@contextmanager
def mariadb_user(database: MariaDatabase, options: str = "") -> Iterator[str]:
    """Make a user that may log in and nothing else; dropped afterwards."""
    name = f"reader_{uuid.uuid4().hex[:10]}"
    database.execute(f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}' {options}")
    try:
        yield name
    finally:
        database.execute(f"DROP USER {name}")


def run_many_as(
    url: str, folder: Path, exports: dict[str, dict[str, Any]], **options: Any
) -> dict[str, ExportReport]:
    """Run exports in this process, one after another, and return their reports by name.

    Args:
        url: The source, user included.
        folder: Of the configuration; `out/<name>` holds the files of an export.
        exports: Name to what an export has beside name, format and destination.
        options: `source` holds more keys of the source; the rest goes to `rivet.run`.
    """
    source = {"type": urlsplit(url).scheme, "url": url, "tls": {"mode": "disable"}}
    source |= options.pop("source", {})
    bodies = [
        {
            "name": name,
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            "tuning": {"retry_backoff_ms": 1},
            **keys,
        }
        for name, keys in exports.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": bodies}))
    report = library.run(path, check=False, **options)
    return {one.export_name: one for one in report.exports}


def run_as(url: str, folder: Path, **export: Any) -> ExportReport:
    """Run one export named `rows`, see `run_many_as`; `options` of it go to there."""
    options = export.pop("options", {})
    return run_many_as(url, folder, {"rows": export}, **options)["rows"]


def manifest_of(folder: Path, name: str = "rows") -> dict[str, Any]:
    """Return the manifest of the last good run."""
    return json.loads((folder / "out" / name / "manifest.json").read_text())


def rows_of(folder: Path, name: str = "rows", columns: str = "*") -> list[tuple[Any, ...]]:
    """Return the rows that a reader of the manifest has, sorted."""
    prefix = folder / "out" / name
    paths = [str(prefix / part["path"]) for part in manifest_of(folder, name)["parts"]]
    if not paths:
        return []
    return sorted(duckdb.sql(f"SELECT {columns} FROM read_parquet({paths})").fetchall())
