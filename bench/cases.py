"""Who is measured, and how each is asked for the same: a table to Parquet, zstd, on a disk."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environments import Environment, environment

if TYPE_CHECKING:
    from collections.abc import Callable

_PEERS = Path(__file__).parent / "peers"
_OWN_PROGRAMS = Path(sys.executable).parent
_CONFIG = """\
source:
  type: {engine}
  url: "{url}"
{tuning}exports:
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
    own = Environment("rivet", _OWN_PROGRAMS)
    return [
        Case("drain", "binary COPY, dropped (psycopg)", _script(own, "drain.py"), writes=False),
        Case("rivet", "Rivet, default profile", _rivet(own, "postgresql")),
        Case("rivet-fast", "Rivet, profile fast", _rivet(own, "postgresql", "fast")),
        _peer("connectorx", "connectorx stream + pyarrow", connectorx, "connectorx_parquet.py"),
        _peer("adbc", "ADBC batches + pyarrow", adbc, "adbc_parquet.py"),
        Case(
            "reference-fast",
            "rivet-cli, profile fast",
            _rivet(reference, "postgres", "fast"),
            problem=reference.problem,
        ),
        Case(
            "reference",
            "rivet-cli, default profile",
            _rivet(reference, "postgres"),
            problem=reference.problem,
        ),
        _peer("dlt-connectorx", "dlt, connectorx backend", dlt, "dlt_parquet.py", "connectorx"),
        _peer("dlt-pyarrow", "dlt, pyarrow backend", dlt, "dlt_parquet.py", "pyarrow"),
    ]


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
    folder: Path, url: str, table: str, engine: str, profile: str | None = None
) -> Path:
    """Write a configuration with one export that both programs called `rivet` understand."""
    tuning = f"  tuning: {{profile: {profile}}}\n" if profile else ""
    config = folder / "rivet.yaml"
    text = _CONFIG.format(
        engine=engine,
        url=url,
        tuning=tuning,
        table=table,
        folder=folder / "out",
    )
    config.write_text(text)
    return config


def _rivet(
    own: Environment, engine: str, profile: str | None = None
) -> Callable[[str, str, Path], list[str]]:
    def command(url: str, table: str, folder: Path) -> list[str]:
        config = write_config(folder, url, table, engine, profile)
        return [own.program("rivet"), "run", "-c", str(config)]

    return command


def _script(own: Environment, script: str, *more: str) -> Callable[[str, str, Path], list[str]]:
    def command(url: str, table: str, folder: Path) -> list[str]:
        out = folder / "out"
        out.mkdir()
        return [own.program("python"), str(_PEERS / script), url, table, str(out), *more]

    return command


def _peer(name: str, title: str, own: Environment, script: str, *more: str) -> Case:
    return Case(name, title, _script(own, script, *more), problem=own.problem)
