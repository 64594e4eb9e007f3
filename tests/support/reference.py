"""Pytest plugin: the reference program, run as a black box beside this one.

    reference    the program in the test's own directory: `reference("run", "-c", path)`

It is installed once into `.cache/reference`, which no other environment sees, at the version and
hashes of `requirements/reference.lock`. Where it cannot be had the test is skipped, or fails if
`RIVET_TEST_REQUIRE` names `reference`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from support.cli import Rivet
from support.tree import ROOT

_LOCK_FILE: Final = ROOT / "requirements" / "reference.lock"
_HOME: Final = ROOT / ".cache" / "reference"
_INSTALL_TIMEOUT_S: Final = 240


@dataclass(frozen=True)
class Reference(Rivet):
    """The reference program in one working directory."""

    program: Path = Path()

    @property
    @override
    def command(self) -> list[str]:
        return [str(self.program)]


def unavailable(problem: str) -> None:
    """Skip the test for want of the reference, or fail where the run requires it."""
    required = os.environ.get("RIVET_TEST_REQUIRE", "").replace(" ", "").split(",")
    if "reference" in required:
        pytest.fail(f"RIVET_TEST_REQUIRE names the reference, but {problem}")
    pytest.skip(problem)


def install(target: Path) -> str | None:
    """Install the reference into a folder and return what went wrong, if anything did."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--retries", "1"]
    command += ["--target", str(target), "--requirement", str(_LOCK_FILE)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"it was not installed within {_INSTALL_TIMEOUT_S} s"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


@pytest.fixture(scope="session")
def reference_program() -> Path:
    """The path of the reference's command, installed now if it is not there."""
    version = hashlib.sha256(_LOCK_FILE.read_bytes()).hexdigest()[:16]
    target = _HOME / "programs" / version
    _HOME.mkdir(parents=True, exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            shutil.rmtree(target.parent, ignore_errors=True)
            if problem := install(target):
                unavailable(f"the reference cannot be installed: {problem}")
            (target / "complete").touch()
    return target / "bin" / "rivet"


@pytest.fixture
def reference(tmp_path: Path, reference_program: Path) -> Reference:
    """The reference, run in the test's own temporary directory."""
    return Reference(tmp_path, program=reference_program)
