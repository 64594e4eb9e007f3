"""Manifest lookup in a prefix that several exports may share: which is whose, and its name.

The first export of a prefix has `manifest.json` and `_SUCCESS`, every other one names of its own
(docs/adr/0046). Nothing of another export is ever replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from os.path import normpath
from shlex import quote
from typing import TYPE_CHECKING

from rivet.destinations import load_destination
from rivet.errors import (
    DestinationAuthError,
    DestinationError,
    ManifestMismatchError,
    RefusedError,
)
from rivet.execution.warning import warn
from rivet.manifest import MANIFEST_NEWER, MAX_MANIFEST_BYTES, parse_manifest
from rivet.model.manifest_names import CANONICAL, names_beside
from rivet.redact import visible, visible_line

if TYPE_CHECKING:
    from rivet.config.models import Config, ExportConfig
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.progress import RunProgress
    from rivet.manifest import Manifest
    from rivet.model.manifest_names import ManifestNames

_RULE = "prefix"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Place:
    """An export's place in a prefix.

    Attributes:
        names: Of its manifest and marker.
        manifest: The one that is there; None before its first run.
        neighbour: The export that has `manifest.json`, where that is another one and was read.
    """

    names: ManifestNames
    manifest: Manifest | None = None
    neighbour: str | None = None


def place_of(export: ExportConfig, config: Config, destination: Destination) -> Place:
    """Return an export's place in the prefix that its destination is.

    Raises:
        RefusedError: The prefix belongs to a stream of changes.
        ManifestMismatchError: The manifest there cannot be read.
    """
    beside = names_beside(export.name)
    own = _read(destination, export.name, beside.manifest)
    if own is not None:
        return Place(beside, _own(own, export.name, beside.manifest, destination))
    found = _read(destination, export.name, CANONICAL.manifest)
    if found is None:
        return Place(CANONICAL if _is_first(export, config) else beside)
    if found.mode != "batch":
        raise _refused(found, export.name, destination)
    if found.export_name == export.name:
        return Place(CANONICAL, found)
    return Place(beside, neighbour=found.export_name)


def manifest_of(export: ExportConfig, config: Config, destination: Destination) -> Manifest | None:
    """Return an export's own manifest in a prefix; None where it has none, or there are none."""
    if not load_destination(export.destination.type).CAPABILITIES.is_listable:
        return None
    return place_of(export, config, destination).manifest


def note_neighbour(
    place: Place, export: ExportConfig, context: RunContext, ledger: RunProgress
) -> None:
    """Say that `manifest.json` is another export's, where this configuration does not know it."""
    other = place.neighbour
    if other is not None and other not in {one.name for one in context.config.exports}:
        text = (
            f"`manifest.json` there is that of export '{visible(other[:_LONGEST])}', which is not "
            f"in this configuration; that of '{export.name}' is `{place.names.manifest}`"
        )
        warn(context, ledger, _RULE, text)


def _is_first(export: ExportConfig, config: Config) -> bool:
    """Whether no export before it in the configuration writes to the same prefix.

    By the configuration, so that exports that run side by side need not ask one another.
    """
    mine = _path(export)
    if mine is None:
        return True
    before = config.exports[: [one.name for one in config.exports].index(export.name)]
    return not any(_path(one) == mine for one in before)


def _path(export: ExportConfig) -> str | None:
    """Return where the files of an export go, but for its run; None where runs share nothing."""
    store = export.destination
    path = store.path
    if store.bucket is not None:
        path = f"{store.type}://{store.bucket}/{(store.prefix or '').strip('/')}"
    if path is None or "{run_id}" in path:
        return None
    for name in ("{export}", "{table}"):
        path = path.replace(name, export.name)
    return normpath(path)


def _own(manifest: Manifest, name: str, file: str, destination: Destination) -> Manifest:
    if manifest.export_name != name or manifest.mode != "batch":
        raise _refused(manifest, name, destination, file)
    return manifest


def _refused(
    manifest: Manifest, name: str, destination: Destination, file: str = CANONICAL.manifest
) -> RefusedError:
    owner = visible_line(manifest.export_name[:_LONGEST])
    msg = (
        f"export '{name}': {destination.uri} already holds the files of export '{owner}' "
        f"({manifest.mode}), as `{file}` says"
    )
    hint = "give each export a path of its own, such as `path: out/{export}`"
    return RefusedError(msg, hint=hint, code="RIVET_REFUSED_PREFIX", export=name)


def _read(destination: Destination, export_name: str, name: str) -> Manifest | None:
    """Return a manifest; None where there is none.

    Raises:
        ManifestMismatchError: There is one that cannot be read; says how to go on.
    """
    place = f"{destination.uri}/{name}"
    file = place.removeprefix("file://")
    moved = f"mv {quote(file)} {quote(file + '.unreadable')}"
    hint: str | None = f"move it away and run again, which writes a new one: {moved}"
    try:
        body = destination.get(name, max_bytes=MAX_MANIFEST_BYTES)
        return None if body is None else parse_manifest(body)
    except ManifestMismatchError as error:
        msg = f"export '{export_name}': {place}: {error.message}"
        code = error.error_code
        hint = error.hint if code == MANIFEST_NEWER else hint
        raise ManifestMismatchError(msg, hint=hint, code=code, export=export_name) from error
    except DestinationError as error:
        if error.retryable or isinstance(error, DestinationAuthError):
            raise
        msg = f"export '{export_name}': {error.message}"
        raise ManifestMismatchError(msg, hint=hint, export=export_name) from error
