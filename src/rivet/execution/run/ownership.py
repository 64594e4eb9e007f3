"""Watermark ownership: to which source, table, cursor and place an export's progress belongs.

Where an export goes on is worth nothing with another source, another table, another column or
another place for its files: rows would be skipped without a word.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rivet.errors import RefusedError, UnsupportedPlanError
from rivet.execution.warning import warn
from rivet.model.columns import ColumnRules
from rivet.model.owner import Owner, SourceIdentity, Trait
from rivet.model.plan import Mode
from rivet.plan.windows import family_of, low_of
from rivet.redact import visible
from rivet.sources import load_engine
from rivet.sources.identity import TakesPlaces, TellsIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.config.destination import DestinationConfig
    from rivet.config.models import Config, ExportConfig
    from rivet.execution.context import RunContext
    from rivet.execution.job import Job
    from rivet.execution.progress import RunProgress
    from rivet.model.owner import Change
    from rivet.model.relation import Relation
    from rivet.model.run import RunRow
    from rivet.model.source import Position
    from rivet.sources.base import DescribesRelations

_RULE: Final = "cursor-owner"
_CODES: Final = {
    Trait.CURSOR: "RIVET_STATE_CURSOR_OWNER_MISMATCH",
    Trait.DESTINATION: "RIVET_STATE_CURSOR_OUTPUT_MISMATCH",
    Trait.FORMAT: "RIVET_STATE_CURSOR_OUTPUT_MISMATCH",
}
_STREAM: Final = "RIVET_STATE_CURSOR_STREAM_MISMATCH"


def follows(export: ExportConfig) -> bool:
    """Whether an export goes on from a watermark."""
    return export.mode is Mode.INCREMENTAL or export.keyset_incremental


def owned(job: Job, session: object, context: RunContext, ledger: RunProgress) -> Job:
    """Return the job with what its progress belongs to, where it will have any.

    Costs one round trip for exports that go on from a watermark and for those that can be taken
    up, none for others.

    Raises:
        RefusedError: The stored watermark belongs to something else; nothing was read.
        SourceError: The source cannot be asked.
    """
    export = job.export
    is_following = follows(export) and context.options.backfill is None
    if not is_following and not (job.is_chunked and job.survives_new_snapshot):
        return job
    plan = job.plan
    owner = owner_of(export, plan.engine, plan.relation, session)
    if not is_following:
        return replace(job, owner=owner)
    stored = None if context.options.fresh else context.state.watermark(export.name)
    if stored is not None:
        before = context.state.owner(export.name)
        owner = _checked(export, before, owner, session)
        if before is None:
            text = (
                "the stored progress does not say what it belongs to, as it is of an earlier "
                "version or another program; from this run on it belongs to the source, cursor "
                "and destination of now"
            )
            warn(context, ledger, _RULE, text)
    if owner.source.unknown is not None:
        text = f"the stored progress is compared without its server: {owner.source.unknown}"
        warn(context, ledger, _RULE, text)
    return replace(job, owner=owner)


def owner_of(export: ExportConfig, engine: str, relation: Relation, session: object) -> Owner:
    """Return what the progress of an export belongs to as it is now.

    Raises:
        SourceError: The source cannot be asked.
    """
    if isinstance(session, TellsIdentity):
        source = session.identity(relation)
    else:
        title = load_engine(engine).CAPABILITIES.title
        source = SourceIdentity("", relation.label, unknown=f"{title} sources have no identity")
    column = export.cursor
    fallback = export.cursor_fallback
    cursor = f"{column}, else {fallback}" if fallback else column or ""
    return Owner(engine, source, cursor, _place(export.destination), str(export.format))


def _place(destination: DestinationConfig) -> str:
    """Return where files go, as it is written: placeholders stay, credentials never come in."""
    folder = str(PurePosixPath(destination.path or destination.prefix or ""))
    if destination.bucket is None:
        return destination.type if destination.path is None else f"{destination.type} {folder}"
    store = destination.account_name or ""
    if destination.endpoint:
        store = urlsplit(destination.endpoint).hostname or ""
    parts = [part for part in (store, destination.bucket, folder.strip("/.")) if part]
    return f"{destination.type} {'/'.join(parts)}"


def _checked(export: ExportConfig, before: Owner | None, now: Owner, session: object) -> Owner:
    """Return the owner from now on.

    Raises:
        RefusedError: The two are not the same.
    """
    if before is None:
        return now
    changes = _differences(before, now, session, before.changes(now))
    if not changes:
        return _with_servers(now, before)
    name = export.name
    msg = (
        f"export '{name}': its stored progress belongs to something else: {_told(changes)}; "
        "nothing was read or written"
    )
    hint = (
        f"`rivet state reset -e {name}` takes everything anew, `rivet state accept -e {name}` goes "
        "on from the stored progress with the settings of now; or set back what was changed"
    )
    code = _CODES.get(changes[0].trait, _STREAM)
    raise RefusedError(msg, hint=hint, code=code, export=name)


def _differences(
    before: Owner, now: Owner, session: object, changes: Sequence[Change]
) -> Sequence[Change]:
    """Return the changes without that of a server whose place another one took."""
    history = before.source.history if before.engine == now.engine else None
    is_moved = any(change.trait is Trait.SERVER for change in changes)
    if not is_moved or history is None or not isinstance(session, TakesPlaces):
        return changes
    if not session.succeeds(history):
        return changes
    return [change for change in changes if change.trait is not Trait.SERVER]


def _with_servers(now: Owner, before: Owner) -> Owner:
    """Return an owner that keeps the server that was known, where it is not told any more."""
    if now.source.servers:
        return now
    return replace(now, source=replace(now.source, servers=before.source.servers))


def _told(changes: Sequence[Change]) -> str:
    return "; ".join(
        f"the {one.trait} was '{visible(one.before)}' and is '{visible(one.after)}'"
        for one in changes
    )


def refuse_other_source(row: RunRow, job: Job, session: object) -> None:
    """Refuse to go on with the chunks of another source.

    Args:
        row: The run that is resumed; one of an earlier version does not say what it read.
        job: The run of now.
        session: On the source of now.

    Raises:
        RefusedError: They are of another source.
    """
    owner_json = json.loads(row.record.plan_json).get("owner")
    if owner_json is None or job.owner is None:
        return
    before = Owner.from_json(owner_json)
    changes = _differences(before, job.owner, session, before.source_changes(job.owner))
    if not changes:
        return
    name = job.plan.export_name
    msg = (
        f"export '{name}': run {row.run_id} read something else: {_told(changes)}; cannot resume, "
        "nothing was read or written"
    )
    hint = f"run it without --resume to start over: rivet run -e {name}"
    raise RefusedError(msg, hint=hint, code="RIVET_STATE_CHUNKS_STREAM_MISMATCH", export=name)


def _refuse_other_kind(
    export: ExportConfig, relation: Relation, session: DescribesRelations, position: Position
) -> None:
    """Refuse a watermark that the cursor of now cannot be compared with.

    Raises:
        StalePlanError: It is of another kind.
    """
    column = export.cursor or ""
    (described,) = session.columns(relation, ColumnRules(include=(column,)))
    low_of(export.name, position, family_of(column, described.logical))


def accept_progress(config: Config, name: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """Let the watermark of an export belong to its settings of now, and say what changed.

    Raises:
        ConfigError: The name is not in the configuration.
        UnsupportedPlanError: The export goes on from no watermark.
        StalePlanError: The cursor is of another kind than the watermark.
        SourceError: The source cannot be asked.
        StateError: The state store cannot be written.
        StateLockedError: The export is running.
    """
    from rivet.config.resolve import resolve_tuning
    from rivet.execution.run.find_manifests import newest_manifests
    from rivet.execution.selection import relation_of, select_exports
    from rivet.execution.snapshot.sessions import open_sessions
    from rivet.sources import canonical_engine
    from rivet.state.continuity import memory_of
    from rivet.state.locks import export_lock
    from rivet.state.store import open_store

    (export,) = select_exports(config, [name])
    if not follows(export):
        msg = f"export '{name}': `mode: {export.mode}` goes on from no stored progress"
        raise UnsupportedPlanError(msg, hint="there is nothing to accept", export=name)
    with (
        open_store(config.base_dir, url=env.get("RIVET_STATE_URL")) as state,
        export_lock(state, export.name, wait=False),
    ):
        position = state.watermark(name)
        if position is None:
            return (f"{name}: there is no progress to accept",)
        tuning = resolve_tuning(config, export)
        with open_sessions(config, tuning, env) as sessions, sessions.acquire() as session:
            relation = relation_of(config, export)
            engine = canonical_engine(config.source.type)
            now = owner_of(export, engine, relation, session)
            _refuse_other_kind(export, relation, session, position)
        before = state.owner(name)
        state.give_watermark(name, now, "accept")
        for found in newest_manifests(export, config.base_dir):
            run_id = found.manifest.run_id
            if not memory_of(state, name, run_id).knows_run:
                state.accept_run(name, run_id)
    changes = before.changes(now) if before is not None else ()
    lines = [
        f"{name}: the {one.trait} was '{visible(one.before)}' and is '{visible(one.after)}'"
        for one in changes
    ]
    at = visible(position.text)
    return (*lines, f"{name}: accepted; its next run goes on from {at} with the settings of now")
