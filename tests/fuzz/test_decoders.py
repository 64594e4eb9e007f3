"""Random bytes never crash a wire decoder, never make it hang, and end in a batch or a clear error.

`make test` gives each decoder some ten thousand inputs; `make fuzz` gives them 1,500,000 each to a
kernel built with the address and undefined-behaviour sanitizers, and shows that those would see it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.decoding import TARGETS, look_at
from support.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DECODER = pytest.mark.parametrize("name", sorted(TARGETS))
INPUTS = 1_500_000


@DECODER
@pytest.mark.parametrize("seed", [1, 2])
def test_random_bytes_give_a_batch_or_a_clear_error(name: str, seed: int) -> None:
    found = look_at(name, 20_000, seed)
    assert min(found.values()) > 1_000


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not libraries():
        if "kernel" in os.environ.get("RIVET_TEST_REQUIRE", ""):
            pytest.fail("there is no compiler with sanitizers, but RIVET_TEST_REQUIRE names kernel")
        pytest.skip("there is no compiler with sanitizers here")
    folder = tmp_path_factory.mktemp("sanitized")
    build(folder)
    return folder


def libraries() -> list[str]:
    """Return the sanitizers' libraries, none where the compiler has them not."""
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        return []
    found = []
    for library in ("libasan.so", "libubsan.so"):
        asked = subprocess.run(
            [compiler, f"-print-file-name={library}"], capture_output=True, text=True, check=False
        )
        path = asked.stdout.strip()
        if "/" not in path:
            return []
        found.append(path)
    return found


def build(folder: Path, *plant: str) -> None:
    script = ROOT / "scripts" / "sanitized_kernel.py"
    subprocess.run([sys.executable, script, folder, *plant], check=True, stdout=subprocess.DEVNULL)


def run(folder: Path, name: str, inputs: int) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries()),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",  # each piece of memory is one the sanitizer knows
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{ROOT / 'tests'}",
    }
    return subprocess.run(
        [sys.executable, "-m", "support.decoding", name, str(inputs), "7"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.soak
@pytest.mark.timeout(5400)
@DECODER
def test_the_sanitizers_see_nothing(name: str, sanitized: Path) -> None:
    done = run(sanitized, name, INPUTS)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"{INPUTS} inputs" in done.stdout


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_sanitizers_would_see_a_read_past_the_end(sanitized: Path, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty"
    shutil.copytree(sanitized, faulty)
    build(faulty, "scalars.py", "if length != 16:", "if length < 0:")
    done = run(faulty, "mysqlrows", 200_000)
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr
