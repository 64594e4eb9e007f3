"""Build the wire kernel with the address and undefined-behaviour sanitizers, beside the normal one.

    python scripts/sanitized_kernel.py build/sanitized [FILE OLD NEW]

The folder then holds `src/`, a copy of the package with its own compiled modules; put it on
PYTHONPATH with the sanitizers' libraries preloaded. With FILE, OLD and NEW a fault is planted: in
that module OLD is replaced by NEW before it is compiled, and only it is compiled anew. That is how
the test shows that a fault would be seen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"


def build(folder: Path, plant: tuple[str, str, str] | None = None) -> None:
    """Copy the package and compile its kernel; only what changed is compiled again."""
    source = folder / "src"
    ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    shutil.copytree(ROOT / "src", source, ignore=ignored, dirs_exist_ok=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder / name)
    if plant:
        name, old, new = plant
        module = source / "rivet" / "wire" / name
        text = module.read_text(encoding="utf-8")
        if old not in text:
            sys.exit(f"{name} does not hold {old!r}")
        module.write_text(text.replace(old, new), encoding="utf-8")
        for built in (source / "rivet" / "wire").glob(f"{module.stem}.*"):
            if built.suffix in {".c", ".so"}:
                built.unlink()
    environment = {**os.environ, "CFLAGS": FLAGS, "LDFLAGS": "-fsanitize=address,undefined"}
    jobs = str(os.cpu_count() or 1)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "-j", jobs],
        cwd=folder,
        env=environment,
        check=True,
    )
    built = {path.name.split(".")[0] for path in (source / "rivet" / "wire").glob("*.so")}
    wanted = {path.stem for path in (source / "rivet" / "wire").glob("*.pxd")} - {"native"}
    if missing := sorted(wanted - built):
        sys.exit(f"not compiled: {', '.join(missing)}")


if __name__ == "__main__":
    arguments = sys.argv[2:]
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    build(target, (arguments[0], arguments[1], arguments[2]) if arguments else None)
