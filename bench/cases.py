"""Who is measured, and how each is asked for the same: a table to Parquet, zstd, on a disk."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environments import Environment, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PEERS = Path(__file__).parent / "peers"
_OWN_PROGRAMS = Path(sys.executable).parent
_CONFIG = """\
source:
  type: {engine}
  url: "{url}"
{tuning}exports:
"""
_EXPORT = """\
  - name: {table}
    table: {table}
    mode: full
    format: parquet
    compression: zstd
    destination: {{type: local, path: "{folder}"}}
"""


@dataclass(frozen=True)
class Case:
    """One tool in one setting.

    Attributes:
        name: Key of the results.
        title: What the table of results calls it.
        command: From URL, table and an empty working folder to the command line.
        writes: Whether it leaves Parquet files to be counted.
        problem: Why it cannot run; None if it can.
    """

    name: str
    title: str
    command: Callable[[str, str, Path], list[str]]
    writes: bool = True
    problem: str | None = None


def all_cases() -> list[Case]:
    """Return every case, the wire first; makes the environments that are missing."""
    reference, adbc = environment("reference"), environment("adbc")
    connectorx, dlt = environment("connectorx"), environment("dlt")
    own = own_environment()
    return [
        Case("drain", "binary COPY, dropped (psycopg)", script(own, "drain.py"), writes=False),
        Case("rivet", "Rivet, default profile", rivet_command(own, "postgresql")),
        Case("rivet-fast", "Rivet, profile fast", rivet_command(own, "postgresql", "fast")),
        peer("connectorx", "connectorx stream + pyarrow", connectorx, "connectorx_parquet.py"),
        peer("adbc", "ADBC batches + pyarrow", adbc, "adbc_parquet.py"),
        Case(
            "reference-fast",
            "rivet-cli, profile fast",
            rivet_command(reference, "postgres", "fast"),
            problem=reference.problem,
        ),
        Case(
            "reference",
            "rivet-cli, default profile",
            rivet_command(reference, "postgres"),
            problem=reference.problem,
        ),
        peer("dlt-connectorx", "dlt, connectorx backend", dlt, "dlt_parquet.py", "connectorx"),
        peer("dlt-pyarrow", "dlt, pyarrow backend", dlt, "dlt_parquet.py", "pyarrow"),
    ]


def own_environment() -> Environment:
    """Return where Rivet itself is installed."""
    return Environment("rivet", _OWN_PROGRAMS)


def clean_environment(home: Path) -> dict[str, str]:
    """Return what every measured command sees: no settings of the user, no telemetry."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }


def write_config(
    folder: Path, url: str, tables: Sequence[str], engine: str, profile: str | None = None
) -> Path:
    """Write a configuration that both programs called `rivet` understand: an export per table."""
    tuning = f"  tuning: {{profile: {profile}}}\n" if profile else ""
    exports = (_EXPORT.format(table=table, folder=folder / "out" / table) for table in tables)
    config = folder / "rivet.yaml"
    config.write_text(_CONFIG.format(engine=engine, url=url, tuning=tuning) + "".join(exports))
    return config


def rivet_command(
    own: Environment,
    engine: str,
    profile: str | None = None,
    *,
    tables: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> Callable[[str, str, Path], list[str]]:
    """Return how one of the two programs called `rivet` is asked.

    Args:
        own: Where it is installed.
        engine: What it calls PostgreSQL.
        profile: Its tuning profile; None is its own default.
        tables: What to export; empty is the one table that is measured.
        flags: More words for `rivet run`.
    """

    def command(url: str, table: str, folder: Path) -> list[str]:
        config = write_config(folder, url, tables or [table], engine, profile)
        return [own.program("rivet"), "run", "-c", str(config), *flags]

    return command


def script(own: Environment, name: str, *more: str) -> Callable[[str, str, Path], list[str]]:
    """Return how a script of `peers/` is called."""

    def command(url: str, table: str, folder: Path) -> list[str]:
        out = folder / "out"
        out.mkdir()
        return [own.program("python"), str(_PEERS / name), url, table, str(out), *more]

    return command


def peer(name: str, title: str, own: Environment, program: str, *more: str) -> Case:
    """Return the case of a peer with a script of ours."""
    return Case(name, title, script(own, program, *more), problem=own.problem)
