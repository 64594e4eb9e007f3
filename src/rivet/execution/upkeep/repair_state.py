"""Repair of a lost state (`rivet repair --state`): made again from manifests at the destinations.

Nothing is taken for granted: names must be ours, seals must fit, and files of a run must be there
for the run to be on record. What the state still knows stays.
"""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rivet.errors import StateDamagedError, StateError
from rivet.execution.run.find_manifests import Unreadable, run_manifests
from rivet.execution.run.ownership import follows
from rivet.execution.selection import select_exports
from rivet.manifest import run_manifest_name
from rivet.model.owner import Owner
from rivet.model.part import ColumnStats, FileStats, RecordedPart
from rivet.model.run import RunOutcome, RunRecord, RunStatus
from rivet.model.source import Position
from rivet.plan.naming import place_of_part
from rivet.plan.windows import from_manifest
from rivet.state.continuity import memory_of
from rivet.state.locks import export_lock
from rivet.state.restore import (
    Kept,
    RestoredRun,
    clear_unreadable,
    move_damaged_state,
    note_lost,
    restore,
)
from rivet.state.store import URL_VARIABLE, open_store, utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rivet.config.models import Config, ExportConfig
    from rivet.execution.run.find_manifests import FoundManifest
    from rivet.manifest import Manifest, ManifestPart, Snapshot
    from rivet.state.store import StateStore


_EVERY_RUN = 1_000_000


@dataclass(slots=True)
class Repair:
    """What was done.

    Attributes:
        lines: For people, one fact each.
        is_whole: Nothing is left that only a person can decide.
    """

    lines: list[str] = field(default_factory=list)
    is_whole: bool = True

    def lacks(self, line: str) -> None:
        """Note something that could not be made good."""
        self.lines.append(line)
        self.is_whole = False


def repair_state(config: Config, names: Sequence[str] | None, env: Mapping[str, str]) -> Repair:
    """Make runs and watermarks again that the state has lost.

    Raises:
        ConfigError: A name is not in the configuration.
        StateError: The state cannot be written; a shared one is damaged beyond single rows.
        RefusedError: An export is running.
    """
    repair = Repair()
    selected = select_exports(config, names)
    url = env.get(URL_VARIABLE)
    kept = None if url else _aside(config, repair)
    with open_store(config.base_dir, url=url or "") as store:
        # A file that was moved away held all exports, not only those that were asked for.
        for export in select_exports(config, None) if kept is not None else selected:
            with export_lock(store, export.name):
                _repair(export, store, config.base_dir, kept, repair)
    return repair


def _aside(config: Config, repair: Repair) -> dict[str, Kept] | None:
    """Move a file away that is damaged beyond single rows; return what could be read of it."""
    names = [export.name for export in config.exports]
    try:
        with open_store(config.base_dir, url="") as store:
            store.check_writable()
            for name in names:
                store.current_run(name)
                store.runs(name, last=_EVERY_RUN)
    except StateDamagedError as error:
        try:
            path, kept = move_damaged_state(config.base_dir, names, f"{utc_now():%Y%m%dT%H%M%S}")
        except OSError as problem:
            msg = f"the damaged state file cannot be moved away: {problem.strerror}"
            raise StateError(msg, hint=error.hint) from problem
        repair.lines.append(f"{error.message}; it was moved to {path}")
        return kept
    return None


def _repair(
    export: ExportConfig,
    store: StateStore,
    base_dir: Path,
    kept: dict[str, Kept] | None,
    repair: Repair,
) -> None:
    name = export.name
    cleared = clear_unreadable(store, name)
    repair.lines += [f"{name}: its row in '{one}' could not be read and is gone" for one in cleared]
    if export.destination.bucket is not None:
        repair.lacks(
            f"{name}: manifests in a bucket are not read in this version: restore the state from a "
            f"backup, or take everything anew with `rivet run --fresh -e {name}`"
        )
    found, bad = run_manifests(export, base_dir)
    bad += [one for one in map(_damaged, found) if one is not None]
    for one in bad:
        repair.lacks(
            f"{name}: {one.path} cannot be read ({one.reason}); nothing was taken over: "
            "move it away to go on without it"
        )
    newest = next((one for one in reversed(found) if one.manifest.moves_on), None)
    progress = None if bad else _progress(export, store, newest)
    if progress is None and kept is not None:
        progress = kept.get(name)
    runs = [] if bad else _unknown_runs(export, store, found, repair)
    restore(store, name, runs, progress)
    if runs:
        repair.lines.append(f"{name}: {len(runs)} runs are on record again")
    if progress is not None:
        _accept(store, name, newest)
    if follows(export):
        is_lost = kept is not None or "watermarks" in cleared or bool(bad)
        _tell(name, store, progress, repair, is_lost=is_lost)


def _accept(store: StateStore, name: str, newest: FoundManifest | None) -> None:
    """Note a run that moved the export on although not all of its files are there any more."""
    if newest is not None and store.run(newest.manifest.run_id) is None:
        store.accept_run(name, newest.manifest.run_id)


def _tell(
    name: str, store: StateStore, progress: Kept | None, repair: Repair, *, is_lost: bool
) -> None:
    """Say where an export goes on, or remember that nobody knows."""
    memory = memory_of(store, name, None)
    if progress is not None:
        is_older = progress.position.kind == from_manifest("", "").kind
        note = "; its manifest is of an earlier version: rows equal to it come again" * is_older
        repair.lines.append(f"{name}: its next run goes on from {progress.position.text}{note}")
    elif memory.has_progress:
        repair.lines.append(f"{name}: its progress is on record")
    elif is_lost or memory.is_lost:
        note_lost(store, name)
        way = f"`rivet state reset -e {name}` begins anew"
        repair.lacks(f"{name}: nothing tells how far it got; {way}")


def _progress(export: ExportConfig, store: StateStore, newest: FoundManifest | None) -> Kept | None:
    """Return the watermark that the newest run set, where the state has none or an older one."""
    if newest is None or not follows(export):
        return None
    manifest = newest.manifest
    memory = memory_of(store, export.name, manifest.run_id)
    if memory.has_progress and memory.knows_run:
        return None
    told = manifest.source.extraction
    by = (manifest.run_id, manifest.part_count)
    if told.progress is None:
        at = from_manifest(manifest.source.engine, told.cursor_high or "")
        return Kept(at, covered_by=by)
    place = told.progress
    position = Position(place.engine, place.kind, place.text, place.is_approximate)
    return Kept(position, None if place.owner is None else Owner.from_json(place.owner), by)


def _damaged(found: FoundManifest) -> Unreadable | None:
    """Return what is wrong with the progress in a manifest."""
    manifest = found.manifest
    progress = manifest.source.extraction.progress
    path = found.folder / found.name
    try:
        datetime.fromisoformat(manifest.started_at)
        if progress is not None and progress.owner is not None:
            Owner.from_json(progress.owner)
    except ValueError:
        return Unreadable(path, "a value in it is not what it should be")
    if progress is not None and progress.sealed(manifest.run_id).seal != progress.seal:
        return Unreadable(path, "its progress does not fit its seal")
    return None


def _unknown_runs(
    export: ExportConfig, store: StateStore, found: list[FoundManifest], repair: Repair
) -> list[RestoredRun]:
    current = store.current_run(export.name)
    since = None if current is None else current.record.started_at
    restored = []
    for one in found:
        if store.run(one.manifest.run_id) is not None:
            continue
        run = _restored(one)
        if run is None:
            path = one.folder / run_manifest_name(one.manifest.run_id)
            repair.lines.append(f"{export.name}: not all files of {path} are there: left out")
        elif since is None or run.record.started_at > since:
            restored.append(run)
    return restored


def _restored(found: FoundManifest) -> RestoredRun | None:
    """Return a run as it is put on record; None where a file of it is missing or not its own."""
    manifest = found.manifest
    uri = f"file://{found.folder}"
    parts: list[RecordedPart] = []
    for entry in manifest.committed:
        place = place_of_part(entry.path, manifest.run_id)
        if place is None or not _is_there(found.folder / entry.path, entry.size_bytes):
            return None
        parts.append(_part(len(parts) + 1, entry, place, manifest, uri))
    told = manifest.source.extraction
    started = datetime.fromisoformat(manifest.started_at)
    finished = datetime.fromisoformat(manifest.finished_at or manifest.started_at)
    record = RunRecord(
        run_id=manifest.run_id,
        export_name=manifest.export_name,
        started_at=started,
        mode=told.strategy,
        engine=manifest.source.engine,
        destination_type="local",
        destination_uri=uri,
        format=manifest.format,
        compression=manifest.compression,
        fingerprint="",
        plan_json=json.dumps(_plan_of(manifest)),
    )
    outcome = RunOutcome(
        RunStatus.SUCCESS,
        finished,
        rows=manifest.row_count,
        file_count=manifest.part_count,
        bytes_written=sum(part.stats.size_bytes for part in parts),
    )
    return RestoredRun(record, tuple(parts), outcome)


def _plan_of(manifest: Manifest) -> dict[str, Any]:
    told = manifest.source.extraction
    plan: dict[str, Any] = {"moves_on": manifest.moves_on, "is_restored": True}
    plan["reads_again"] = told.cursor_overlap is not None
    # One of an earlier version does not say what it follows, unless it begins with no bound.
    if "follows" in told.model_fields_set or told.cursor_low is None:
        plan["follows"] = told.follows
    return plan


def _is_there(path: Path, size: int) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def _part(
    part_id: int,
    entry: ManifestPart,
    place: tuple[int, int, int],
    manifest: Manifest,
    uri: str,
) -> RecordedPart:
    columns = tuple(
        ColumnStats(one.name, one.null_count, one.min, one.max) for one in entry.columns
    )
    stats = FileStats(
        entry.rows, entry.size_bytes, entry.content_fingerprint, entry.content_md5 or "", columns
    )
    chunk_index, claim_number, ordinal = place
    return RecordedPart(
        part_id=part_id,
        run_id=manifest.run_id,
        export_name=manifest.export_name,
        chunk_index=chunk_index,
        claim_number=claim_number,
        name=entry.path,
        uri=f"{uri}/{entry.path}",
        ordinal=ordinal,
        stats=stats,
        recorded_at=datetime.fromisoformat(entry.recorded_at or manifest.started_at),
        instant=_instant(entry.snapshot or manifest.snapshot),
    )


def _instant(snapshot: Snapshot | None) -> Position | None:
    if snapshot is None:
        return None
    return Position(snapshot.engine, snapshot.kind, snapshot.text, snapshot.is_approximate)
