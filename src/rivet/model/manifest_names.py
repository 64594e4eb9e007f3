"""Names of the manifest and success marker of an export, in a prefix that several may share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ManifestNames:
    """What an export's current manifest and the marker of it are called."""

    manifest: str
    success: str


CANONICAL: Final = ManifestNames("manifest.json", "_SUCCESS")
"""Those of the first export of a prefix, and the only ones where it has it to itself."""


def names_beside(export_name: str) -> ManifestNames:
    """Return those of an export whose prefix has a `manifest.json` of another one."""
    return ManifestNames(f"manifest.{export_name}.json", f"_SUCCESS.{export_name}")
