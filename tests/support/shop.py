"""A small SQLite source and its configuration, for tests of the command and the library."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Shop:
    """A folder with `shop.db` and `rivet.yaml` in it."""

    directory: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.directory / "shop.db"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "rivet.yaml"

    @property
    def out(self) -> Path:
        """Where the exports land, one folder each."""
        return self.directory / "out"

    def execute(self, script: str) -> None:
        """Run statements on the source."""
        connection = sqlite3.connect(self.database)
        try:
            connection.executescript(script)
        finally:
            connection.close()

    def fill(self, rows: int) -> None:
        """Put `rows` more orders into the source."""
        self.execute(
            f"""
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
            INSERT INTO orders (customer, amount, note, paid)
            SELECT 'c' || (i % 97), printf('%d.%02d', i, i % 100),
                   CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'ünï ' || i END, i % 2
            FROM n WHERE {rows} > 0
            """
        )

    def configure(self, *exports: dict[str, Any], **top: Any) -> Path:
        """Write the configuration; each export is a mapping with defaults filled in.

        JSON is YAML, so nothing here needs a YAML writer.
        """
        body = {
            "source": {"type": "sqlite", "url": "sqlite:///shop.db"},
            "exports": [_export(export) for export in exports],
            **top,
        }
        self.config.write_text(json.dumps(body, indent=2), encoding="utf-8")
        return self.config


def _export(given: dict[str, Any]) -> dict[str, Any]:
    name = given.get("name", "orders")
    defaults: dict[str, Any] = {
        "name": name,
        "format": "parquet",
        "destination": {"type": "local", "path": f"out/{name}"},
    }
    if not {"query", "query_file", "table"} & given.keys():
        defaults["table"] = name
    return {**defaults, **given}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with 1,000 orders and a configuration that exports them."""
    made = Shop(tmp_path)
    made.execute(
        """
        CREATE TABLE orders (
            id INTEGER PRIMARY KEY, customer TEXT NOT NULL, amount DECIMAL(12,2),
            note TEXT, paid BOOLEAN
        );
        CREATE TABLE empty (id INTEGER PRIMARY KEY, name TEXT);
        """
    )
    made.fill(1000)
    made.configure({})
    return made
