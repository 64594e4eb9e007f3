"""Rivet: relational tables and queries to Parquet and CSV, faithfully and gently.

    import rivet

    report = rivet.run("rivet.yaml", exports=["orders"])
    for part in report.files:
        print(part.uri, part.stats.rows)

Everything here is typed and loaded on first use: `import rivet` alone costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rivet.model.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from rivet.config.models import Config
    from rivet.errors import RivetError
    from rivet.events import Event
    from rivet.model.relation import Relation
    from rivet.model.report import ExportReport, RunReport

__all__ = [
    "Config",
    "ExportReport",
    "Relation",
    "RivetError",
    "RunReport",
    "__version__",
    "load_config",
    "read",
    "run",
]

_LAZY: Final = {
    "Config": "rivet.config.models",
    "ExportReport": "rivet.model.report",
    "Relation": "rivet.model.relation",
    "RivetError": "rivet.errors",
    "RunReport": "rivet.model.report",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module's own attribute protocol
    if name not in _LAZY:
        msg = f"module 'rivet' has no attribute '{name}'"
        raise AttributeError(msg)
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)


def load_config(path: str | Path, *, params: Mapping[str, str] | None = None) -> Config:
    """Load and check a configuration file; nothing is contacted.

    Args:
        path: The YAML file.
        params: Values for `${name}`; they come before the environment.

    Raises:
        ConfigError: The file is missing or wrong; the message says where.
    """
    from rivet.config.load import load_config as load

    return load(path, params=params)


def run(  # noqa: PLR0913 - one for each thing that can differ
    config: str | Path | Mapping[str, Any] | Config,
    *,
    exports: Sequence[str] | None = None,
    params: Mapping[str, str] | None = None,
    validate: bool = False,
    reconcile: bool = False,
    resume: bool = False,
    parallel_exports: bool | int | None = None,
    parallel_export_processes: bool | int | None = None,
    check: bool = True,
    on_event: Callable[[Event], None] | None = None,
) -> RunReport:
    """Run exports and return what they did.

    Args:
        config: A YAML file, a mapping of the same shape (relative paths are then relative to the
            working directory), or a loaded configuration.
        exports: Names to run; None is all, in the configuration's order.
        params: Values for `${name}`; not for a loaded configuration.
        validate: Count every part again before it is published and check the manifest after.
        reconcile: Count the source too, in the instant that was read, and compare.
        resume: Take up the newest run of each chunked export where it ended.
        parallel_exports: Run several in threads: True, or how many at most. None is as the
            configuration says, False one after another.
        parallel_export_processes: As `parallel_exports`, each export in a process of its own.
        check: Raise when an export failed; with False, look at `RunReport.failures`.
        on_event: Called with every event, from the thread that runs the export; what it raises is
            dropped.

    Returns:
        One report per export; `RunReport.files` are the parts a reader should read.

    Raises:
        ConfigError: The configuration is wrong or names an export that is not there.
        StateError: The state store cannot be opened.
        RivetError: With `check`, an export failed: its own error, as it was raised. Where several
            did, an `ExportsFailedError` whose `exit_status` is the worst's. `report` is the report.
        KeyboardInterrupt: Ctrl-C; what had been committed is on record.
    """
    from rivet.execution.context import RunOptions
    from rivet.execution.many.invocation import run_exports
    from rivet.execution.many.parallel import parallelism
    from rivet.execution.selection import select_exports, to_config
    from rivet.execution.telling.failures import failure_of_run

    loaded = to_config(config, params)
    ended = run_exports(
        loaded,
        names=exports,
        options=RunOptions(validate or reconcile, reconcile=reconcile, resume=resume),
        parallel=parallelism(
            loaded,
            select_exports(loaded, exports),
            threads=parallel_exports,
            processes=parallel_export_processes,
        ),
        emit=on_event,
    )
    error = failure_of_run(ended.report, is_summed_up=False) if check else None
    if ended.telling is not None:
        if ended.interrupt is None:
            ended.telling.end(error.exit_status if error is not None else 0)
        ended.telling.close()
    if ended.interrupt is not None:
        raise ended.interrupt
    if error is not None:
        raise error
    return ended.report


def read(
    source: str | Mapping[str, Any],
    relation: str | Relation,
    *,
    columns: Mapping[str, str] | None = None,
) -> pa.RecordBatchReader:
    """Stream a table or a query straight into Arrow; no file and no state is written.

    Memory is bounded by a batch. The session is opened now and closed when the reader is
    exhausted or garbage-collected; it reads one consistent snapshot.

    Args:
        source: A URL such as `postgresql://user@host/db` or `sqlite:///shop.db`, or a mapping like
            the `source:` block of a configuration.
        relation: A table (`name` or `schema.name`), or `Relation(query="SELECT ...")`.
        columns: Type overrides by column, such as `{"price": "decimal(18,4)"}`.

    Raises:
        ConfigError: The source is not valid.
        PlanError: A column has no faithful type.
        SourceError: The database cannot be reached or the relation cannot be read.
    """
    from rivet.execution.upkeep.read_api import open_reader

    return open_reader(source, relation, columns or {})
