"""The files of this checkout that people write, without what tools leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
_WRITTEN = {"", ".c", ".csv", ".json", ".lock", ".md", ".mako", ".py", ".sql", ".toml", ".yaml"}
_MADE_BY_TOOLS = {"__pycache__", ".cache", ".git"}  # .git is a file in a second worktree


def files(*folders: str, suffix: str | None = None) -> Iterator[Path]:
    """Yield text files below the named folders of the checkout, in a stable order."""
    wanted = {suffix} if suffix else _WRITTEN
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in wanted and not _is_made(path):
                yield path


def _is_made(path: Path) -> bool:
    inner = path.relative_to(ROOT)
    in_kernel = inner.parts[:3] == ("src", "rivet", "wire")
    return (in_kernel and path.suffix == ".c") or any(
        part in _MADE_BY_TOOLS or part.endswith(".egg-info") for part in inner.parts
    )


def everything() -> Iterator[Path]:
    """Yield every text file that belongs to the project."""
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and not _is_made(path))
    yield from files(".ci", "bench", "docs", "requirements", "scripts", "src", "tests")


def name(path: Path) -> str:
    """Return the path as the project writes it."""
    return path.relative_to(ROOT).as_posix()
