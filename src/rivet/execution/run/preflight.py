"""Preflight checks: what can be refused before the source, the destination or the state is touched.

A run looks at all of it first. What only the catalog, the rows or the disk can tell comes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.config.resolve import output_plan, resolve_source
from rivet.destinations import load_destination, sink_ref
from rivet.execution.selection import relation_of
from rivet.plan.build import refuse_impossible, refuse_many_in_a_stream
from rivet.sources import load_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rivet.config.models import Config, ExportConfig

__all__ = ["refuse_unready"]


def refuse_unready(config: Config, export: ExportConfig, env: Mapping[str, str]) -> None:
    """Refuse an export that cannot run whatever the source says.

    Raises:
        ConfigError: The source's address, the query file or a placeholder is not valid.
        SecretNotFoundError: A variable or a file that the source names is not there.
        MissingExtraError: The engine's driver is not installed.
        SourceError: The database file is not there.
        PlanError: The table is no name.
        UnsupportedPlanError: Several files would go into one stream.
    """
    address = resolve_source(config, env)
    load_engine(address.engine).check_address(address)
    relation_of(config, export)
    is_listable = load_destination(export.destination.type).CAPABILITIES.is_listable
    output = output_plan(export)
    refuse_impossible(export_name=export.name, destination_is_listable=is_listable, output=output)
    refuse_many_in_a_stream(export.name, export.chunk_count or 1, is_listable=is_listable)
    names = dict.fromkeys(("date", "export", "table", "run_id"), export.name)
    sink_ref(export.destination, base_dir=config.base_dir, placeholders=names)
