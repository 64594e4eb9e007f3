"""What must hold between the keys of one export."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rivet.config.column_rules import column_contradiction
from rivet.config.cursor_rules import cursor_contradiction
from rivet.config.destination_rules import check_destination
from rivet.config.durations import parse_duration
from rivet.config.problem import (
    COLUMN_OVERRIDE,
    EXPORT_SOURCE,
    MODE_SETTING,
    OUT_OF_RANGE,
    Problem,
    dotted,
)
from rivet.config.unused import OF_MODES
from rivet.errors import RivetError
from rivet.model.output import Compression
from rivet.model.plan import Mode
from rivet.model.types import Kind, parse_override

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rivet.config.engines import EngineForm
    from rivet.config.models import Config, ExportConfig
    from rivet.config.problem import Path as KeyPath
    from rivet.model.types import LogicalType

_LEVELS: Final = {Compression.ZSTD: (1, 22), Compression.GZIP: (0, 9)}
_CHUNK_KNOBS: Final = (
    "chunk_column",
    "chunk_by_key",
    "chunk_count",
    "chunk_size",
    "chunk_size_memory_mb",
    "chunk_max_attempts",
    "chunk_checkpoint",
    "chunk_dense",
    "chunk_by_days",
    "keyset_incremental",
)
_MODE_KNOBS: Final = {
    Mode.INCREMENTAL: (
        "cursor_column",
        "cursor_fallback_column",
        "incremental_cursor_mode",
        "settle",
        "lookback",
        "strict_cursor",
        "cursor_zone",
    ),
    Mode.TIME_WINDOW: ("time_column", "time_column_type", "days_window"),
    Mode.CDC: ("cdc", "tables"),
}


class _Check:
    """One export under examination."""

    def __init__(self, config: Config, index: int, form: EngineForm) -> None:
        self.config = config
        self.export: ExportConfig = config.exports[index]
        self.form = form
        self.path: KeyPath = ("exports", index)

    def fail(
        self, key: str, message: str, *, hint: str | None = None, code: str = MODE_SETTING
    ) -> NoReturn:
        path = (*self.path, *key.split(".")) if key else self.path
        full = f"export '{self.export.name}': {message}"
        raise Problem(path, full, hint=hint, code=code)

    def is_set(self, key: str) -> bool:
        """Whether a key holds something else than its default."""
        field = type(self.export).model_fields[key]
        value: Any = getattr(self.export, key)
        return bool(value != field.get_default(call_default_factory=True))


def check_export(config: Config, index: int, form: EngineForm, base_dir: Path) -> None:
    """Apply every rule to `config.exports[index]`.

    Raises:
        Problem: The first rule that does not hold.
    """
    check = _Check(config, index, form)
    for rule in _RULES:
        rule(check)
    check_destination(check.export, check.path, base_dir)


def _what_is_read(check: _Check) -> None:
    given = [
        key
        for key in ("query", "query_file", "table", "tables")
        if getattr(check.export, key) is not None
    ]
    if not given:
        check.fail(
            "",
            "nothing says what to read",
            hint="give exactly one of `table`, `query` or `query_file`",
            code=EXPORT_SOURCE,
        )
    if len(given) > 1:
        check.fail(
            given[1],
            f"`{given[0]}` and `{given[1]}` exclude each other",
            hint="give exactly one of `table`, `query` or `query_file`",
            code=EXPORT_SOURCE,
        )
    if check.export.query_file is not None:
        _query_file(check, check.export.query_file)


def _query_file(check: _Check, text: str) -> None:
    path = PurePosixPath(text)
    if ".." in path.parts:
        check.fail(
            "query_file",
            f"query_file path must not contain '..': {text}",
            hint="put the file into the configuration's folder",
            code=EXPORT_SOURCE,
        )
    if path.is_absolute():
        check.fail(
            "query_file",
            f"query_file path must be relative to the configuration: {text}",
            hint="put the file into the configuration's folder",
            code=EXPORT_SOURCE,
        )


def _numbers(check: _Check) -> None:
    coded = {
        "chunk_count": "RIVET_CONFIG_CHUNK_COUNT_INVALID",
        "chunk_by_days": "RIVET_CONFIG_CHUNK_BY_DAYS_INVALID",
        "chunk_size": OUT_OF_RANGE,
        "parallel": OUT_OF_RANGE,
    }
    for key, code in coded.items():
        if getattr(check.export, key) == 0:
            check.fail(key, f"`{key}` must be at least 1, not 0", code=code)


def _mode_needs(check: _Check) -> None:
    export = check.export
    if export.mode is Mode.INCREMENTAL and export.cursor_column is None:
        check.fail("mode", "`mode: incremental` needs `cursor_column`")
    if export.mode is Mode.TIME_WINDOW:
        for key in ("time_column", "days_window"):
            if getattr(export, key) is None:
                check.fail("mode", f"`mode: time_window` needs `{key}`")
    ways = (export.table, export.chunk_column, export.chunk_by_key, export.chunk_count)
    if export.mode is Mode.CHUNKED and all(way is None for way in (*ways, export.chunk_by_days)):
        check.fail(
            "mode",
            "`mode: chunked` needs to know how to cut",
            hint="give one of `chunk_column`, `chunk_by_key`, `chunk_count` or `chunk_by_days`, "
            "or read a `table`",
        )
    if check.form.is_document and export.mode not in {Mode.FULL, Mode.CDC}:
        check.fail(
            "mode",
            f"`mode: {export.mode}` does not go with `{check.config.source.type}`",
            hint="use `mode: full`",
            code="RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED",
        )


def _knobs_of_other_modes(check: _Check) -> None:
    export = check.export
    if export.mode is not Mode.CHUNKED:
        for key in _CHUNK_KNOBS:
            if check.is_set(key):
                _foreign(check, key, Mode.CHUNKED)
    for mode, keys in _MODE_KNOBS.items():
        for key in keys if export.mode is not mode else ():
            if check.is_set(key) and key not in OF_MODES:
                _foreign(check, key, mode)
    if export.keep_runs is not None and export.holds_rows_of_its_own:
        message = "`keep_runs` would remove rows: every run of an incremental export holds its own"
        check.fail("keep_runs", message, hint="remove `keep_runs`")


def _foreign(check: _Check, key: str, mode: Mode) -> NoReturn:
    check.fail(
        key,
        f"`{key}` requires `mode: {mode}`, the mode is `{check.export.mode}`",
        hint=f"remove `{key}`",
    )


def _durations(check: _Check) -> None:
    settle = check.export.settle
    after = settle.after if settle is not None else None
    given = {"lookback": check.export.lookback, "settle.after": after}
    for key, text in given.items():
        if text is None:
            continue
        try:
            parse_duration(text)
        except ValueError as error:
            check.fail(key, f"`{key}` {error}", code=OUT_OF_RANGE)


def _chunking(check: _Check) -> None:
    excluded = {
        "chunk_by_key": ("chunk_column", "chunk_dense", "chunk_by_days", "chunk_count"),
        "chunk_dense": ("chunk_by_days", "chunk_count"),
        "chunk_by_days": ("chunk_count",),
        "chunk_size_memory_mb": ("chunk_size",),
    }
    for key, others in excluded.items():
        for other in others if check.is_set(key) else ():
            if check.is_set(other):
                message = f"`{key}` and `{other}` exclude each other"
                check.fail(other, message, code=OUT_OF_RANGE)
    for key in ("chunk_by_key", "chunk_size_memory_mb"):
        if check.is_set(key) and check.export.table is None:
            check.fail(key, f"`{key}` needs `table:`")
    if check.export.keyset_incremental and check.export.chunk_by_key is None:
        check.fail("keyset_incremental", "`keyset_incremental` needs `chunk_by_key`")


def _partitions(check: _Check) -> None:
    export = check.export
    where = export.destination.path or export.destination.prefix or ""
    key = "destination.path" if export.destination.path else "destination"
    if export.partition_by is None:
        if "{partition}" in where:
            check.fail(key, "`{partition}` in the destination needs `partition_by`")
        return
    if "{partition}" not in where:
        check.fail(
            "partition_by", "`partition_by` needs {partition} in the destination's path or prefix"
        )
    if export.chunk_by_key is not None:
        check.fail("partition_by", "`partition_by` and `chunk_by_key` exclude each other")
    if export.mode in {Mode.TIME_WINDOW, Mode.CDC}:
        check.fail("partition_by", f"`partition_by` does not go with `mode: {export.mode}`")
    if check.config.load is not None:
        check.fail("partition_by", "`partition_by` does not go with `load`")


def _compression(check: _Check) -> None:
    export = check.export
    if export.format == "csv":
        _csv_compression(check)
        return
    codec = export.compression or Compression.ZSTD
    if export.compression_level is None:
        return
    bounds = _LEVELS.get(codec)
    if bounds is None:
        check.fail("compression_level", f"`compression: {codec}` has no levels", code=OUT_OF_RANGE)
    low, high = bounds
    if not low <= export.compression_level <= high:
        message = (
            f"`compression_level` of {codec} is {low} to {high}, not {export.compression_level}"
        )
        check.fail("compression_level", message, code=OUT_OF_RANGE)


def _csv_compression(check: _Check) -> None:
    export = check.export
    for key in ("compression", "compression_profile", "compression_level"):
        value = getattr(export, key)
        if value is not None and value != "none":
            check.fail(
                key,
                f"`{key}` does not go with `format: csv`",
                hint=f"remove `{key}`, or use `format: parquet`",
                code="RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED",
            )


def _parquet(check: _Check) -> None:
    parquet = check.export.parquet
    if parquet is None:
        return
    is_fixed_rows = parquet.row_group_strategy == "fixed_rows"
    if is_fixed_rows and parquet.row_group_rows is None:
        check.fail(
            "parquet.row_group_strategy", "`fixed_rows` needs `row_group_rows`", code=OUT_OF_RANGE
        )


def _types(check: _Check) -> None:
    for column, rule in check.export.columns.items():
        logical = _override(check, ("columns", column), rule.type, column)
        if rule.invalid == "text" and logical.kind is not Kind.STRING:
            message = (
                f"column '{column}': `invalid: text` needs `type: text`, the type of all values"
            )
            raise Problem((*check.path, "columns", column), message, code=OUT_OF_RANGE)
    path = ("types", "unbounded_numeric")
    logical = _override(check, path, check.export.types.unbounded_numeric, "numeric")
    if logical.kind not in {Kind.STRING, Kind.DECIMAL}:
        check.fail(
            "types.unbounded_numeric",
            "`types.unbounded_numeric` must be text or decimal(p,s)",
            code=OUT_OF_RANGE,
        )


def _cursor(check: _Check) -> None:
    if found := cursor_contradiction(check.export):
        key, message, hint, code = found
        check.fail(key, message, hint=hint, code=code)


def _column_tools(check: _Check) -> None:
    if found := column_contradiction(check.export):
        key, message, hint = found
        check.fail(key, message, hint=hint, code=COLUMN_OVERRIDE)


def _override(check: _Check, path: tuple[str, ...], text: str, column: str) -> LogicalType:
    try:
        return parse_override(text, column=column)
    except RivetError as error:
        message = f"export '{check.export.name}': {error.message}"
        full = (*check.path, *path)
        raise Problem(full, message, hint=error.hint, code=COLUMN_OVERRIDE) from error


def _quality(check: _Check) -> None:
    quality = check.export.quality
    if quality is None:
        return
    low, high = quality.row_count_min, quality.row_count_max
    if low is not None and high is not None and low > high:
        message = f"`quality.row_count_min` {low} is more than `row_count_max` {high}"
        check.fail("quality.row_count_min", message, code=OUT_OF_RANGE)
    if quality.unique_max_entries is not None and not quality.unique_columns:
        check.fail(
            "quality.unique_max_entries",
            "`quality.unique_max_entries` needs `unique_columns`",
            code=OUT_OF_RANGE,
        )


def _batches(check: _Check) -> None:
    source, own = check.config.source.tuning, check.export.tuning
    keys = ("batch_size", "batch_size_memory_mb")
    levels = (("source", "tuning"), source), ((*check.path, "tuning"), own)
    given = {
        key: (*path, key)
        for path, tuning in levels
        for key in keys
        if tuning is not None and getattr(tuning, key) is not None
    }
    if len(given) == len(keys):
        message = (
            f"export '{check.export.name}': `batch_size` and `batch_size_memory_mb` exclude each "
            f"other ({dotted(given[keys[0]])} and {dotted(given[keys[1]])})"
        )
        path = max(given.values(), key=len)
        raise Problem(path, message, hint="remove one of the two", code=OUT_OF_RANGE)


_RULES: Final[tuple[Callable[[_Check], None], ...]] = (
    _what_is_read,
    _numbers,
    _mode_needs,
    _knobs_of_other_modes,
    _cursor,
    _durations,
    _chunking,
    _partitions,
    _compression,
    _parquet,
    _types,
    _column_tools,
    _quality,
    _batches,
)
