"""File listing of `rivet files`: the parts that hold an export's rows, each row once.

From the state alone; neither the source nor the destination is contacted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rivet.errors import RefusedError, UnsupportedPlanError
from rivet.execution.run.recorded_names import refuse_foreign_parts
from rivet.execution.selection import select_exports
from rivet.model.run import RunStatus
from rivet.redact import visible_line
from rivet.state.chain import chain_of, follows_of, link_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.config.models import Config, ExportConfig
    from rivet.model.part import RecordedPart
    from rivet.model.run import RunRow
    from rivet.state.chain import Link
    from rivet.state.store import StateStore

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs of the exports are listed; without any, all that hold their rows.

    Attributes:
        run_id: This one alone.
        since: Those after this one.
        is_last_only: The newest good run of each export.
    """

    run_id: str | None = None
    since: str | None = None
    is_last_only: bool = False


@dataclass(frozen=True, slots=True)
class CurrentFiles:
    """The files of one export; `run_id` is its newest good run, None before the first.

    Attributes:
        run_ids: The runs that they are of, oldest first.
        reads_again: Rows may be in two of them: an export with `lookback`.
    """

    export_name: str
    run_id: str | None
    parts: tuple[RecordedPart, ...]
    run_ids: tuple[str, ...] = ()
    reads_again: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `rivet files --json`."""
        return {
            "export_name": self.export_name,
            "run_id": self.run_id,
            "runs": list(self.run_ids),
            "rows": sum(part.stats.rows for part in self.parts),
            "reads_again": self.reads_again,
            "files": [
                {
                    "uri": part.uri,
                    "path": part.location,
                    "rows": part.stats.rows,
                    "bytes": part.stats.size_bytes,
                    "content_hash": part.stats.content_hash,
                    "run_id": part.run_id,
                }
                for part in self.parts
            ],
        }


def current_files(
    config: Config,
    names: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    choice: Choice | None = None,
) -> tuple[CurrentFiles, ...]:
    """Return the parts that hold the rows of the configuration's exports.

    Raises:
        ConfigError: A name is not in the configuration.
        UnsupportedPlanError: The run that was asked for is no good run of these exports.
        RefusedError: What came after a run cannot be told from its files: the export began anew.
        StateError: The state store cannot be read.
        StateDamagedError: It names files that its runs have not written, or lacks some.
    """
    from rivet.state.store import open_store

    environment = os.environ if env is None else env
    wanted = choice or Choice()
    selected = select_exports(config, names)
    with open_store(config.base_dir, url=environment.get("RIVET_STATE_URL")) as state:
        asked = wanted.run_id or wanted.since
        if asked is None:
            return tuple(_listed(one, _chain(one, state, wanted), state) for one in selected)
        export, row = _asked(asked, selected, state)
        if wanted.run_id is not None:
            return (_listed(export, (_good(row, state),), state),)
        return (_listed(export, _since(row, state), state),)


def _listed(export: ExportConfig, links: Sequence[Link], state: StateStore) -> CurrentFiles:
    for link in links:
        refuse_foreign_parts(link.row, link.parts)
    newest = state.current_run(export.name)
    return CurrentFiles(
        export.name,
        None if newest is None else newest.run_id,
        tuple(part for link in links for part in link.parts),
        tuple(link.row.run_id for link in links),
        any(link.reads_again for link in links),
    )


def _chain(export: ExportConfig, state: StateStore, choice: Choice) -> tuple[Link, ...]:
    if not choice.is_last_only:
        return chain_of(state, export.name)
    row = state.current_run(export.name)
    return () if row is None else (link_of(state, row),)


def _asked(
    run_id: str, selected: Sequence[ExportConfig], state: StateStore
) -> tuple[ExportConfig, RunRow]:
    row = state.run(run_id)
    export = next((one for one in selected if row and one.name == row.export_name), None)
    if row is None or export is None:
        msg = f"there is no run '{visible_line(run_id[:_LONGEST])}' of these exports"
        raise UnsupportedPlanError(msg, hint="`rivet files --json` names their runs")
    return export, row


def _good(row: RunRow, state: StateStore) -> Link:
    if row.status not in {RunStatus.SUCCESS, RunStatus.SKIPPED}:
        msg = f"run {row.run_id} is {row.status}: its files are no data"
        hint = f"list what good runs hold: rivet files -e {row.export_name}"
        raise UnsupportedPlanError(msg, hint=hint, export=row.export_name)
    return link_of(state, row)


def _since(row: RunRow, state: StateStore) -> tuple[Link, ...]:
    """Return what came after a run; a run without files stands for the one that it goes on from."""
    name = row.export_name
    known = row.run_id if row.status is RunStatus.SUCCESS else follows_of(state, row)
    links = chain_of(state, name, after=known)
    first = links[0].follows if links else known
    newest = state.current_run(name)
    is_newest = newest is not None and newest.run_id == known
    if known is None or not (is_newest or first == known):
        msg = (
            f"export '{name}': it does not go on from run {row.run_id} any more: rows of that run "
            "are in newer files as well"
        )
        hint = f"drop what you have of it and take the whole list: rivet files -e {name}"
        raise RefusedError(msg, hint=hint, code="RIVET_REFUSED_NOT_FOLLOWED", export=name)
    return links
