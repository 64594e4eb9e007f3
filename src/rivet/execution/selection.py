"""Selection of exports of an invocation, from whatever form its configuration came in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rivet.config.resolve import resolve_query_file
from rivet.destinations import load_destination
from rivet.errors import ConfigError, UnsupportedPlanError
from rivet.plan.build import query_relation, table_relation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.config.models import Config, ExportConfig
    from rivet.model.relation import Relation


def select_exports(config: Config, names: Sequence[str] | None) -> tuple[ExportConfig, ...]:
    """Return the exports with these names, in configuration order; all of them for None.

    Raises:
        ConfigError: A name is not in the configuration; the hint lists the known ones.
    """
    if names is None:
        return tuple(config.exports)
    known = [export.name for export in config.exports]
    for name in names:
        if name not in known:
            msg = f"export '{name}' not found in config"
            raise ConfigError(
                msg,
                hint=f"Known exports: {', '.join(known)}",
                code="RIVET_CLI_EXPORT_UNKNOWN",
                export=name,
            )
    return tuple(export for export in config.exports if export.name in names)


def to_config(
    config: str | Path | Mapping[str, Any] | Config, params: Mapping[str, str] | None
) -> Config:
    """Return a loaded configuration, whatever form it came in.

    Raises:
        ConfigError: It is wrong, or parameters came with one that is loaded already.
    """
    from rivet.config.load import config_from_dict, load_config
    from rivet.config.models import Config as LoadedConfig

    if isinstance(config, LoadedConfig):
        if params:
            msg = "parameters cannot be applied to a configuration that is loaded already"
            raise ConfigError(msg, hint="give them to `load_config`")
        return config
    if isinstance(config, str | Path):
        return load_config(config, params=params)
    if params:
        msg = "parameters cannot be applied to a mapping: put the values into it"
        raise ConfigError(msg)
    return config_from_dict(config, base_dir=Path.cwd())


def refuse_shared_stream(selected: Sequence[ExportConfig]) -> None:
    """Refuse several exports into one stream.

    Raises:
        UnsupportedPlanError: They would write one after another into it.
    """
    sharing = streaming(selected)
    if len(sharing) > 1:
        listed = ", ".join(f"'{name}'" for name in sharing)
        msg = f"exports {listed} would write one after another into one stream"
        raise UnsupportedPlanError(msg, hint=f"run one of them alone: -e {sharing[0]}")


def streaming(selected: Sequence[ExportConfig]) -> list[str]:
    """Return the names of the exports whose destination is a stream."""
    return [
        export.name
        for export in selected
        if not load_destination(export.destination.type).CAPABILITIES.is_listable
    ]


def relation_of(config: Config, export: ExportConfig) -> Relation:
    """Return what an export reads.

    Raises:
        ConfigError: The query file is missing or outside the configuration's folder.
        PlanError: The table name or the query is not one.
    """
    if export.table is not None:
        return table_relation(export.table, export_name=export.name)
    if export.query is not None:
        return query_relation(export.query, export_name=export.name)
    return query_relation(resolve_query_file(config, export), export_name=export.name)
