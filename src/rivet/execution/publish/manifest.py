"""The manifest publisher: `manifest-<run>.json`, `manifest.json`, then `_SUCCESS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.errors import ManifestMismatchError, ObjectExistsError
from rivet.events import Emit, ManifestWritten, SuccessWritten
from rivet.manifest import (
    MAX_MANIFEST_BYTES,
    build_manifest,
    parse_manifest,
    run_manifest_name,
    success_marker,
)
from rivet.model.finish import Receipt

if TYPE_CHECKING:
    from rivet.destinations.base import Destination
    from rivet.execution.publish.base import Publication
    from rivet.model.manifest_names import ManifestNames
    from rivet.model.part import RecordedPart

NAME: Final = "manifest"


class ManifestPublisher:
    """Writes manifests at a destination; the one of the run itself comes first.

    Args:
        destination: Open, and one that lists.
        emit: Told of each object that is durable.
        names: What the export's manifest and marker are called there.
    """

    def __init__(self, destination: Destination, emit: Emit, names: ManifestNames) -> None:
        self._destination = destination
        self._emit = emit
        self._names = names

    def publish(self, run: Publication, parts: tuple[RecordedPart, ...]) -> Receipt:
        """Write all three.

        Raises:
            DestinationError: A write failed; without `_SUCCESS` readers know the prefix as
                unfinished.
        """
        plan = run.plan
        body = build_manifest(
            plan,
            parts,
            started_at=plan.started_at,
            finished_at=run.finished_at,
            status="success",
            schema_fingerprint=run.schema_fingerprint,
            position=run.position,
            window=run.window,
            not_covered=run.not_covered,
            source_row_count=run.source_row_count,
            progress=run.progress,
        )
        name = run_manifest_name(plan.run_id)
        self._destination.put_bytes(body, name)
        self._emit(ManifestWritten(export_name=plan.export_name, run_id=plan.run_id, name=name))
        return self._make_current(plan.run_id, plan.export_name, body)

    def complete(
        self, run_id: str, export_name: str, parts: tuple[RecordedPart, ...]
    ) -> Receipt | None:
        """Make the manifest of a run that died the current one, where it lists these parts.

        Returns:
            None where the run never got so far, or its manifest is not that of these parts.

        Raises:
            DestinationError: The destination cannot be read or written.
        """
        body = self._destination.get(run_manifest_name(run_id), max_bytes=MAX_MANIFEST_BYTES)
        if body is None:
            return None
        try:
            manifest = parse_manifest(body)
        except ManifestMismatchError:
            return None
        told = [(one.path, one.size_bytes, one.rows) for one in manifest.committed]
        known = [(one.name, one.stats.size_bytes, one.stats.rows) for one in parts]
        if (manifest.run_id, manifest.export_name, told) != (run_id, export_name, known):
            return None
        return self._make_current(run_id, export_name, body)

    def withdraw(self, run_id: str, folder: str) -> bool:
        """Set the manifest of a run aside whose parts are not whole any more: it names them.

        Raises:
            DestinationError: The destination cannot be read or written.
        """
        name = run_manifest_name(run_id)
        if self._destination.stat(name) is None:
            return False
        try:
            self._destination.move(name, f"{folder}/{name}")
        except ObjectExistsError:  # an earlier one of the same run, which was resumed since
            self._destination.remove(name)
        return True

    def _make_current(self, run_id: str, export_name: str, body: bytes) -> Receipt:
        name = self._names.manifest
        self._destination.put_bytes(body, name)
        self._emit(ManifestWritten(export_name=export_name, run_id=run_id, name=name))
        marker = success_marker(body)
        self._destination.put_bytes(marker, self._names.success)
        self._emit(SuccessWritten(export_name=export_name, run_id=run_id))
        return Receipt(NAME, self._destination.uri, marker.decode().strip())
