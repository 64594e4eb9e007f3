"""Lost state detection: an export goes on by what is recorded, and never begins anew silently.

Files of earlier runs are the witnesses: the manifest under the prefix, and with a path that changes
from day to day those under its other prefixes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import StateLostError
from rivet.execution.run.find_manifests import newest_manifests
from rivet.execution.run.ownership import follows
from rivet.execution.run.prefix import manifest_of
from rivet.execution.warning import warn
from rivet.model.progress import Progress
from rivet.state.continuity import Memory, memory_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.config.models import ExportConfig
    from rivet.destinations.base import Destination
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.manifest import Manifest
    from rivet.model.part import RecordedPart

_RULE = "state"


def refuse_lost(export: ExportConfig, destination: Destination, context: RunContext) -> None:
    """Stop an export that goes on from its last run where the state has forgotten that run.

    Args:
        export: Any export.
        destination: Open.
        context: Holds the state.

    Raises:
        StateLostError: Runs of it are at the destination or on record, and how far they got is
            not; or the state is older than the files.
        StateDamagedError: What the state remembers cannot be read.
        ManifestMismatchError: The manifest there cannot be read.
    """
    options = context.options
    if not follows(export) or options.fresh or options.backfill is not None:
        return
    manifest = manifest_of(export, context.config, destination)
    if manifest is not None and not manifest.moves_on:
        manifest = None
    memory = memory_of(context.state, export.name, manifest.run_id if manifest else None)
    if memory.has_progress:
        if not memory.knows_run and manifest is not None:
            raise _behind(export.name, manifest, destination.uri)
        return
    if memory.is_reset:
        return
    told = next(_witnesses(export, memory, manifest, destination, context), None)
    if told is not None:
        raise _lost(export.name, told)


def _witnesses(
    export: ExportConfig,
    memory: Memory,
    manifest: Manifest | None,
    destination: Destination,
    context: RunContext,
) -> Iterator[str]:
    if memory.is_lost:
        yield "runs are on record, but not how far they got"
    if manifest is not None and not memory.knows_run:
        yield f"{destination.uri} holds run {manifest.run_id[:200]}, which is not on record"
    for found in newest_manifests(export, context.config.base_dir):
        is_known = memory_of(context.state, export.name, found.manifest.run_id).knows_run
        if found.manifest.moves_on and not is_known:
            run_id = found.manifest.run_id[:200]
            yield f"{found.folder} holds run {run_id}, which is not on record"


def _lost(name: str, what: str) -> StateLostError:
    msg = f"export '{name}': the state was lost or emptied: {what}; nothing was read or written"
    hint = (
        "`rivet repair --state` rebuilds it from the manifests, or restore it from a backup; "
        f"`rivet state reset -e {name}` or `rivet run --fresh -e {name}` takes everything anew"
    )
    return StateLostError(msg, hint=hint, export=name)


def _behind(name: str, manifest: Manifest, uri: str) -> StateLostError:
    msg = (
        f"export '{name}': the state is not that of the files: {uri} holds run "
        f"{manifest.run_id[:200]}, which is not on record; nothing was read or written"
    )
    hint = (
        "`rivet repair --state` takes over what the manifests know; "
        f"`rivet state accept -e {name}` goes on from the stored progress, and may take rows again"
    )
    return StateLostError(msg, hint=hint, code="RIVET_STATE_BEHIND", export=name)


def note_unknown(
    export: ExportConfig, manifest: Manifest | None, context: RunContext, ledger: RunProgress
) -> None:
    """Say of files that are there already that the state knows nothing of their run.

    An export that takes everything each time goes on without it.
    """
    if manifest is None or follows(export):
        return
    if not memory_of(context.state, export.name, manifest.run_id).knows_run:
        text = (
            f"the files at the destination are of run {manifest.run_id[:200]}, which the state "
            "does not know: it is new, or was lost; `rivet repair --state` rebuilds it"
        )
        warn(context, ledger, _RULE, text)


def progress_of(job: Job, parts: tuple[RecordedPart, ...]) -> Progress | None:
    """Return what a manifest says of where the next run goes on; None where nothing moves."""
    position = job.window.position if job.window is not None else None
    if position is None or not parts:
        return None
    return Progress(
        engine=position.engine,
        kind=position.kind,
        text=position.text,
        is_approximate=position.is_approximate,
        owner=None if job.owner is None else job.owner.to_json(),
    )
