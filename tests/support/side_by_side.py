"""Pytest plugin: this program and the reference, side by side in front of one database.

side_by_side("shop")    a fresh PostgreSQL database with a schema of `tests/compat/schemas`
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.cli import Outcome, Rivet
from support.reference import Reference
from support.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.databases import PostgresDatabase

_SCHEMAS: Final = ROOT / "tests" / "compat" / "schemas"
_MODE = re.compile(r"^    mode: (?:chunked|incremental)$", re.MULTILINE)
_MODE_KEYS = re.compile(
    r"^    (?:chunk_by_key|chunk_size|chunk_checkpoint|cursor_column): .*\n", re.MULTILINE
)


@dataclass(frozen=True)
class SideBySide:
    """Both programs, each in a folder of its own."""

    theirs: Reference
    ours: Rivet

    def scaffold(self) -> str:
        """Return the configuration that the reference's own `init` writes for the database."""
        self.theirs("init", "--source-env", "DATABASE_URL", "-o", "made.yaml").expect(0)
        return (self.theirs.directory / "made.yaml").read_text(encoding="utf-8")

    def configure(self, text: str) -> None:
        """Give both programs the same configuration."""
        for program in (self.theirs, self.ours):
            (program.directory / "rivet.yaml").write_text(text, encoding="utf-8")

    def take_over(self) -> Rivet:
        """Put this program in the reference's place: its folder, files and state."""
        return Rivet(self.theirs.directory, self.ours.variables)

    def run(self, *arguments: str) -> tuple[Outcome, Outcome]:
        """Run both and return how each ended."""
        return (
            self.theirs("run", "-c", "rivet.yaml", *arguments),
            self.ours("run", "-c", "rivet.yaml", *arguments),
        )

    def prefixes(self, folder: str) -> tuple[Path, Path]:
        """Return the same output folder of both."""
        return self.theirs.directory / folder, self.ours.directory / folder


@pytest.fixture
def side_by_side(
    any_postgres: PostgresDatabase, reference_program: Path, tmp_path: Path
) -> Callable[[str], SideBySide]:
    """Fill the database with a schema and put both programs in front of it."""

    def prepare(schema: str) -> SideBySide:
        any_postgres.execute((_SCHEMAS / f"{schema}.sql").read_text(encoding="utf-8"))
        variables = {"DATABASE_URL": any_postgres.url}
        for name in ("theirs", "ours"):
            (tmp_path / name).mkdir()
        return SideBySide(
            Reference(tmp_path / "theirs", variables, reference_program),
            Rivet(tmp_path / "ours", variables),
        )

    return prepare


def in_full_mode(text: str) -> str:
    """Turn the chunked and incremental exports of a scaffold into full ones."""
    return _MODE_KEYS.sub("", _MODE.sub("    mode: full", text))


def one_export(**keys: Any) -> str:
    """Return a configuration of one export, `x`, into the folder `out`."""
    destination = {"type": "local", "path": "out"}
    export = {"name": "x", "format": "parquet", "destination": destination, **keys}
    source = {"type": "postgres", "url_env": "DATABASE_URL"}
    return json.dumps({"source": source, "exports": [export]})
