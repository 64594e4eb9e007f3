"""An environment of its own for each peer, made once and kept in `bench/.cache`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_CACHE = Path(__file__).parent / ".cache" / "venvs"

# Pinned, so that two results compare; raise them together and measure anew.
REQUIREMENTS = {
    "reference": ("rivet-cli==0.32.2",),
    "connectorx": ("connectorx==0.4.6", "pyarrow==26.0.1"),
    "adbc": (
        "adbc-driver-postgresql==1.13.0",
        "adbc-driver-manager==1.13.0",
        "pyarrow==26.0.1",
    ),
    # dlt's own extras leave out what its SQL source imports.
    "dlt": (
        "dlt[sql_database,filesystem,parquet]==1.31.0",
        "sqlalchemy==2.0.58",
        "connectorx==0.4.6",
        "psycopg2-binary==2.9.13",
        "pymysql==1.2.4",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "pyarrow==26.0.1",
    ),
}


@dataclass(frozen=True)
class Environment:
    """A peer's environment: its folder of programs, or why there is none."""

    name: str
    programs: Path
    problem: str | None = None

    def program(self, name: str) -> str:
        """Return the path of a program in it."""
        return str(self.programs / name)


def environment(name: str) -> Environment:
    """Return the peer's environment, made now if it is not there; a failure is kept, not raised."""
    home = _CACHE / name
    wanted = "\n".join(REQUIREMENTS[name])
    stamp = home / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return Environment(name, home / "bin")
    print(f"making the environment of {name} ...", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv:
        steps = [
            [uv, "venv", "--quiet", "--python", sys.executable, home],
            [uv, "pip", "install", "--quiet", "--python", home / "bin/python", *REQUIREMENTS[name]],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", home],
            [home / "bin/python", "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]],
        ]
    for step in steps:
        done = subprocess.run(
            [str(word) for word in step], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return Environment(name, home / "bin", done.stderr.strip()[-500:])
    stamp.write_text(wanted)
    return Environment(name, home / "bin")
