"""Parallelism of exports: how many run at once, in threads or processes, and in which order."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError, RivetError, UnsupportedPlanError
from rivet.execution.selection import streaming
from rivet.plan.build import table_relation
from rivet.plan.schedule import launch_order, max_concurrent
from rivet.sources.abilities import EstimatesSizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.config.models import Config, ExportConfig

# Measured on Linux: what a process of an export takes of its own, and what watches it.
_PROCESS_EACH_MB: Final = 256
_PROCESS_BASE_MB: Final = 128
_THREAD_EACH_MB: Final = 160
_THREAD_BASE_MB: Final = 96


class ParallelMode(StrEnum):
    """What the exports of one invocation run in."""

    SEQUENTIAL = "sequential"
    THREADS = "parallel-threads"
    PROCESSES = "parallel-processes"


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How an invocation runs its exports.

    Attributes:
        max_concurrent: The most exports that run at the same time.
        memory_each_mb: The share of one of them in the memory budget; None without a budget.
    """

    mode: ParallelMode = ParallelMode.SEQUENTIAL
    max_concurrent: int = 1
    memory_each_mb: int | None = None


def parallelism(
    config: Config,
    selected: Sequence[ExportConfig],
    *,
    threads: bool | int | None = None,
    processes: bool | int | None = None,
) -> Parallelism:
    """Decide how to run; what is given wins over the configuration, processes over threads.

    Args:
        config: Its keys hold where neither argument is given.
        selected: The exports to run; one alone is run in this process.
        threads: True for as many as is sensible, or how many at most; False for none.
        processes: As `threads`.

    Raises:
        ConfigError: Both were given, or a number is not positive.
        UnsupportedPlanError: This system or one of the exports cannot.
    """
    if threads and processes:
        msg = "exports run either in threads or in processes, not in both"
        hint = "give one of --parallel-exports and --parallel-export-processes"
        raise ConfigError(msg, hint=hint, code="RIVET_CLI_VALUE_INVALID")
    if threads is None and processes is None:
        threads, processes = config.parallel_exports, config.parallel_export_processes
    asked = processes or threads
    if asked is not True and asked is not False and asked is not None and asked < 1:
        msg = f"{asked} exports at once are not possible"
        raise ConfigError(msg, hint="give 1 or more", code="RIVET_CLI_VALUE_INVALID")
    if not asked or len(selected) < 2:  # noqa: PLR2004 - one alone has no company
        return Parallelism()
    mode = ParallelMode.PROCESSES if processes else ParallelMode.THREADS
    if mode is ParallelMode.PROCESSES:
        _refuse_impossible(config, selected)
    is_process = mode is ParallelMode.PROCESSES
    each_mb = _PROCESS_EACH_MB if is_process else _THREAD_EACH_MB
    return Parallelism(
        mode,
        max_concurrent(
            None if asked is True else int(asked),
            exports=len(selected),
            cpu_count=cpu_count(),
            max_connections=_to_read_with(config, selected),
            max_memory_mb=config.max_memory_mb,
            memory_each_mb=each_mb,
            memory_base_mb=_PROCESS_BASE_MB if is_process else _THREAD_BASE_MB,
        ),
        each_mb if config.max_memory_mb else None,
    )


def held_connections(selected: Sequence[ExportConfig]) -> int:
    """Return how many connections the invocation itself holds while its exports run."""
    return int(any(export.consistency == "run" for export in selected))


def _to_read_with(config: Config, selected: Sequence[ExportConfig]) -> int | None:
    limit = config.max_connections
    return None if limit is None else max(limit - held_connections(selected), 1)


def _refuse_impossible(config: Config, selected: Sequence[ExportConfig]) -> None:
    if sys.platform == "win32":
        msg = "exports in processes of their own need Linux or macOS"
        raise UnsupportedPlanError(msg, hint="use parallel_exports (threads) on this system")
    if not config.digest:
        msg = "exports in processes of their own need a configuration file"
        raise UnsupportedPlanError(msg, hint="write the configuration to a file, or use threads")
    if names := streaming(selected):
        msg = f"export '{names[0]}' writes into a stream, which its process needs for its events"
        raise UnsupportedPlanError(msg, hint=f"run it alone: -e {names[0]}")


def cpu_count() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Launching:
    """What a source tells before many exports of it start.

    Attributes:
        exports: In the order to start them: a long one started last would end last.
        fitting: How many may hold a connection each; None where there is no limit, or none known.
    """

    exports: Sequence[ExportConfig]
    fitting: int | None = None


def launching(
    config: Config, selected: Sequence[ExportConfig], env: Mapping[str, str]
) -> Launching:
    """Ask the source once how large the tables are, and how many connections it leaves.

    An estimate is only advice: where the source cannot be asked, the order is the
    configuration's, and the exports themselves tell what is wrong.
    """
    from rivet.config.resolve import resolve_tuning
    from rivet.execution.snapshot.connection_limits import exports_that_fit
    from rivet.execution.snapshot.sessions import open_sessions

    by_name = {export.name: export for export in selected}
    tables = {
        export.name: table_relation(export.table, export_name=export.name)
        for export in selected
        if export.table is not None
    }
    try:
        tuning = resolve_tuning(config, selected[0])
        pool = open_sessions(config, tuning, env, max_connections=config.max_connections and 1)
        with pool, pool.acquire() as session:
            fitting = exports_that_fit(session)
            sizes: dict[str, int | None] = {}
            if tables and isinstance(session, EstimatesSizes):
                sizes.update(zip(tables, session.estimates(tuple(tables.values())), strict=True))
    except RivetError:
        return Launching(selected)
    return Launching([by_name[name] for name in launch_order(list(by_name), sizes)], fitting)
