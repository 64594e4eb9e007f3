"""Check a destination prefix against its own manifest: sizes, hashes, the success marker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rivet.errors import ManifestMismatchError
from rivet.manifest import parse_manifest, success_marker
from rivet.model.manifest_names import CANONICAL

if TYPE_CHECKING:
    from rivet.destinations.base import Destination
    from rivet.model.manifest_names import ManifestNames

_MANIFEST_LIMIT: Final = 64 * 1024 * 1024
_MARKER_LIMIT: Final = 1024


@dataclass(slots=True)
class Findings:
    """What was checked and what does not agree.

    Attributes:
        parts_checked: Parts found at the recorded size.
        failures: One sentence each; empty means that everything agrees.
    """

    parts_checked: int = 0
    failures: list[str] = field(default_factory=list)


def check_prefix(destination: Destination, names: ManifestNames = CANONICAL) -> Findings:
    """Check a manifest, the marker of it and every committed part under a prefix.

    Parts are judged by size and, where the store reports one, by MD5. A missing manifest is a
    failure.

    Raises:
        DestinationError: The prefix cannot be read.
    """
    findings = Findings()
    body = destination.get(names.manifest, max_bytes=_MANIFEST_LIMIT)
    if body is None:
        findings.failures.append(f"{names.manifest} is missing")
        return findings
    marker = destination.get(names.success, max_bytes=_MARKER_LIMIT)
    if marker is None:
        findings.failures.append(f"{names.success} is missing")
    elif marker != success_marker(body):
        findings.failures.append(f"{names.success} does not belong to {names.manifest}")
    try:
        manifest = parse_manifest(body)
    except ManifestMismatchError as error:
        findings.failures.append(error.message)
        return findings
    for part in manifest.committed:
        info = destination.stat(part.path)
        if info is None:
            findings.failures.append(f"part {part.path} is missing")
        elif info.size_bytes != part.size_bytes:
            findings.failures.append(
                f"part {part.path} is {info.size_bytes} bytes, the manifest says {part.size_bytes}"
            )
        elif info.md5 is not None and info.md5 != part.content_md5:
            findings.failures.append(f"part {part.path} has another MD5 than the manifest says")
        else:
            findings.parts_checked += 1
    return findings
