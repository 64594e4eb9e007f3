"""Manifest discovery: all of an export, wherever the placeholders of its path put them.

Only a local destination can be looked through; links to folders are not followed below it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import ManifestMismatchError
from rivet.manifest import MAX_MANIFEST_BYTES, parse_manifest
from rivet.model.manifest_names import CANONICAL, names_beside
from rivet.openfile import read_regular
from rivet.plan.naming import is_run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.config.models import ExportConfig
    from rivet.manifest import Manifest

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_VALUES: Final = {"date": r"\d{4}-\d{2}-\d{2}", "run_id": r"[^/]+", "partition": r"[^/]+"}
_NEWEST: Final = 100


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest of the export, and the folder it lies in."""

    folder: Path
    name: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that should be a manifest of the export and cannot be read."""

    path: Path
    reason: str


def newest_manifests(export: ExportConfig, base_dir: Path) -> Iterator[FoundManifest]:
    """Yield the current manifests of an export's prefixes, newest names first.

    Those that cannot be read or belong to another export are left out.
    """
    for folder in sorted(prefixes(export, base_dir), reverse=True)[:_NEWEST]:
        found = _read(folder / _current_name(folder, export.name))
        if isinstance(found, FoundManifest) and found.manifest.export_name == export.name:
            yield found


def run_manifests(
    export: ExportConfig, base_dir: Path
) -> tuple[list[FoundManifest], list[Unreadable]]:
    """Return the manifests of all runs of an export, oldest first, and what cannot be read.

    Each run has one: its own, or the current one where that is all there is.
    """
    good: dict[str, FoundManifest] = {}
    bad: list[Unreadable] = []
    for folder in prefixes(export, base_dir):
        names = [_current_name(folder, export.name), *_own_names(folder, export.name)]
        for name in names:
            found = _read(folder / name)
            if isinstance(found, Unreadable):
                bad.append(found)
            elif found is not None and _is_own(found, export.name):
                good[found.manifest.run_id] = found
    ordered = sorted(good.values(), key=lambda one: (one.manifest.started_at, one.manifest.run_id))
    return ordered, bad


def _current_name(folder: Path, export_name: str) -> str:
    """Return what the current manifest of an export is called in a prefix that it may share."""
    beside = names_beside(export_name).manifest
    return beside if os.path.lexists(folder / beside) else CANONICAL.manifest


def _own_names(folder: Path, export_name: str) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return sorted(name for name in names if is_run_of(_run_of(name), export_name))


def _run_of(name: str) -> str:
    is_one = name.startswith("manifest-") and name.endswith(".json")
    return name.removeprefix("manifest-").removesuffix(".json") if is_one else ""


def _is_own(found: FoundManifest, export_name: str) -> bool:
    manifest, current = found.manifest, (CANONICAL.manifest, names_beside(export_name).manifest)
    is_named_so = found.name in current or _run_of(found.name) == manifest.run_id
    is_batch = manifest.mode == "batch" and manifest.status == "success"
    is_own = manifest.export_name == export_name and is_run_of(manifest.run_id, export_name)
    return is_own and is_named_so and is_batch


def _read(path: Path) -> FoundManifest | Unreadable | None:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    try:
        body = read_regular(path, max_bytes=MAX_MANIFEST_BYTES, flags=flags)
        return FoundManifest(path.parent, path.name, parse_manifest(body))
    except FileNotFoundError:
        return None
    except OSError as error:
        return Unreadable(path, error.strerror or type(error).__name__)
    except ManifestMismatchError as error:
        return Unreadable(path, error.message)


def prefixes(export: ExportConfig, base_dir: Path) -> list[Path]:
    """Return the folders that the path of an export may have meant in any of its runs."""
    path = export.destination.path
    if export.destination.type != "local" or not path:
        return []
    steps = Path(path).parts
    folders = [base_dir.absolute()]
    for step in steps:
        if _PLACEHOLDER.search(step) is None:
            folders = [Path(os.path.normpath(folder / step)) for folder in folders]
            continue
        pattern = re.compile(_pattern(step, export.name))
        folders = [below for folder in folders for below in _below(folder, pattern)]
    return [folder for folder in folders if folder.is_dir()]


def _pattern(step: str, export_name: str) -> str:
    values = {**_VALUES, "export": re.escape(export_name), "table": re.escape(export_name)}
    pieces = _PLACEHOLDER.split(step)
    return "".join(
        values.get(piece, "(?!)") if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    )


def _below(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
