"""`exports[]`: one named job each."""

# ruff: noqa: TC001 - the models' annotations are read when they are built

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.json_schema import WithJsonSchema
from typing_extensions import override

from rivet.config.base import Factor, Flag, Positive, Section, Text, Whole, reject, unique
from rivet.config.destination import DestinationConfig
from rivet.config.durations import parse_duration
from rivet.config.extras import CdcConfig, LoadOverride, QualityConfig, SettleConfig
from rivet.config.sizes import parse_size
from rivet.config.tuning import TuningConfig
from rivet.model.columns import Mask
from rivet.model.output import Compression, RowGroupStrategy
from rivet.model.plan import DriftPolicy, Mode
from rivet.model.types import InvalidPolicy, JsonPolicy


def _size(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    text = getattr(value, "raw", value)
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        reject("size")
    try:
        return parse_size(text)
    except ValueError as error:
        reject("size", {"rule": str(error)})


FileSize = Annotated[int, BeforeValidator(_size), WithJsonSchema({"type": ["string", "integer"]})]


def _row_hash(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if value is True:
        return ()
    if value is False:
        return None
    if not isinstance(value, list | tuple):
        reject("row_hash")
    return unique(tuple(value))


Names = Annotated[tuple[Text, ...], AfterValidator(unique)]
RowHash = Annotated[
    tuple[Text, ...] | None,
    BeforeValidator(_row_hash),
    WithJsonSchema(
        {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}
    ),
]


class MetaColumnsConfig(Section):
    """Columns that Rivet adds."""

    exported_at: Flag = Field(
        default=False, description="Add _rivet_exported_at, the start of the run."
    )
    row_hash: RowHash = Field(
        default=None, description="Add _rivet_row_hash over all columns, or over a list of them."
    )

    @override
    def _written(self, name: str, value: Any) -> Any:
        is_switch = name == "row_hash" and not value
        return value is not None if is_switch else super()._written(name, value)


class ParquetConfig(Section):
    """Row groups of Parquet files."""

    row_group_strategy: RowGroupStrategy = Field(
        default=RowGroupStrategy.AUTO,
        description="auto and fixed_memory: by target_row_group_mb; fixed_rows: by row_group_rows.",
    )
    row_group_rows: Positive | None = Field(
        default=None, description="The most rows of a row group."
    )
    target_row_group_mb: Positive | None = Field(
        default=None,
        description="Megabytes of Arrow data at which a row group closes; 64 without it.",
    )
    max_row_group_mb: Positive | None = Field(
        default=None, description="Megabytes no row group may exceed, whatever the strategy."
    )


class ColumnConfig(Section):
    """What one column becomes."""

    null_words = frozenset({"invalid"})

    type: Text = Field(description="Type in the file, such as bigint or decimal(18,4).")
    invalid: InvalidPolicy | None = Field(
        default=None, description="Values the type cannot hold: fail, null or text."
    )


def _column(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, str):
        return {"type": value}
    if not isinstance(value, dict):
        reject("column_type")
    return value


ColumnRule = Annotated[
    ColumnConfig,
    BeforeValidator(_column),
]


def _masks(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if not isinstance(value, dict):
        return value
    # YAML reads the word null as nothing.
    return {column: Mask.NULL if word is None else word for column, word in value.items()}


Masks = Annotated[dict[Text, Mask], BeforeValidator(_masks)]


class TypesConfig(Section):
    """Rules for all columns of the export."""

    null_words = frozenset({"non_finite", "out_of_range"})

    unbounded_numeric: Text = Field(
        default="text", description="What numeric without precision becomes: text or decimal(p,s)."
    )
    non_finite: InvalidPolicy = Field(
        default=InvalidPolicy.FAIL,
        description="NaN and infinities in decimals: fail, null or text.",
    )
    out_of_range: InvalidPolicy | None = Field(
        default=None,
        description="Dates the file cannot hold: fail, null or text; the engine's own without.",
    )
    tinyint1: Literal["bool", "int"] = Field(
        default="bool",
        description="What MySQL's tinyint(1) becomes; as bool, other values than 0 and 1 fail.",
    )
    json_label: JsonPolicy = Field(
        default=JsonPolicy.JSON,
        alias="json",
        description="What JSON becomes whose database takes more than readers do: json, where each "
        "value is checked and another one fails; text; or check, which asks before the first row. "
        "A CSV has no label, so that every value stands there as it is.",
    )


class ExportConfig(Section):
    """One export: what is read, how, and where its files go."""

    name: Text = Field(description="Name of the export: key of its state, beginning of its files.")
    query: Text | None = Field(default=None, description="One SELECT statement.")
    query_file: Text | None = Field(
        default=None, description="File with one SELECT statement, in the configuration's folder."
    )
    table: Text | None = Field(default=None, description="Table or view: name or schema.name.")
    tables: tuple[Text, ...] | None = Field(
        default=None, description="Several tables; for cdc only."
    )
    mode: Mode = Field(default=Mode.FULL, description="How rows are taken.")
    cursor_column: Text | None = Field(
        default=None, description="Column that grows; for incremental."
    )
    cursor_fallback_column: Text | None = Field(
        default=None, description="Column that stands in where cursor_column is NULL."
    )
    incremental_cursor_mode: Literal["single_column", "coalesce"] = Field(
        default="single_column", description="coalesce uses cursor_fallback_column too."
    )
    settle: SettleConfig | None = Field(
        default=None, description="Leave out rows that may still change."
    )
    strict: Flag = Field(
        default=False,
        description="Refuse a run that cannot promise all rows, such as where row-level security "
        "hides some, instead of saying so.",
    )
    lookback: Text | None = Field(
        default=None,
        description="Read again what lies this far back, such as 2h, or a number; for incremental.",
    )
    cursor_zone: Text | None = Field(
        default=None,
        description="Zone of the wall clock that sets a cursor without one, such as Europe/Paris.",
    )
    strict_cursor: Flag = Field(
        default=False, description="Fail where the window of an incremental run is not guaranteed."
    )
    chunk_column: Text | None = Field(
        default=None, description="Column whose ranges are the chunks."
    )
    chunk_size: Whole = Field(
        default=100_000, description="Width of one range of keys, not a row count."
    )
    chunk_size_memory_mb: Positive | None = Field(
        default=None, description="Megabytes to aim at per chunk."
    )
    chunk_count: Whole | None = Field(default=None, description="Number of chunks.")
    chunk_by_days: Whole | None = Field(default=None, description="Days per chunk.")
    chunk_dense: Flag = Field(default=False, description="Number the rows and cut by number.")
    chunk_by_key: Text | None = Field(default=None, description="Unique column to page by.")
    keyset_incremental: Flag = Field(default=False, description="Go on from the last key.")
    parallel: Whole = Field(default=1, description="Chunks read at the same time.")
    chunk_checkpoint: Flag = Field(default=False, description="Remember finished chunks.")
    chunk_max_attempts: Positive | None = Field(default=None, description="Attempts per chunk.")
    query_is_stable: Flag = Field(
        default=False,
        description="Cut a query or view into chunks although it may give other rows each time it "
        "is evaluated (LIMIT, window functions, random values): where it does, rows are lost or "
        "doubled.",
    )
    time_column: Text | None = Field(default=None, description="Time column; for time_window.")
    time_column_type: Literal["timestamp", "unix"] = Field(
        default="timestamp", description="Whether time_column holds timestamps or seconds."
    )
    days_window: Positive | None = Field(
        default=None, description="Days back to read; for time_window."
    )
    partition_by: Text | None = Field(
        default=None, description="Date column that splits the output."
    )
    partition_granularity: Literal["day", "month", "year"] = Field(
        default="day", description="Width of one partition."
    )
    format: Literal["parquet", "csv"] = Field(description="File format.")
    compression: Compression | None = Field(
        default=None, description="Codec of Parquet files: zstd without it; CSV takes none only."
    )
    compression_level: Whole | None = Field(
        default=None, description="zstd 1 to 22 (1 without it), gzip 0 to 9 (6 without it)."
    )
    compression_profile: Literal["none", "fast", "balanced", "compact"] | None = Field(
        default=None, description="snappy, zstd 3 or zstd 9 by name; wins over the two keys above."
    )
    skip_empty: Flag = Field(
        default=False, description="Without rows, leave the destination as it was."
    )
    destination: DestinationConfig = Field(description="Where the files go.")
    keep_runs: Positive | None = Field(
        default=None,
        description="Good runs whose files stay; older ones are removed after a good run.",
    )
    verify: Literal["size", "content"] = Field(
        default="size", description="What validation compares: sizes, or the bytes too."
    )
    meta_columns: MetaColumnsConfig = Field(
        default_factory=MetaColumnsConfig, description="Columns that Rivet appends to every row."
    )
    quality: QualityConfig | None = Field(default=None, description="Rules the rows must hold.")
    max_file_size: FileSize | None = Field(
        default=None,
        description="Begin another file at this size, such as 512MB; units are binary.",
    )
    tuning: TuningConfig | None = Field(
        default=None, description="Overrides source.tuning key by key."
    )
    columns: dict[str, ColumnRule] = Field(
        default_factory=dict, description="Column to its type, or to a map of type and invalid."
    )
    types: TypesConfig = Field(
        default_factory=TypesConfig, description="Type rules for all columns."
    )
    include: Names | None = Field(
        default=None, description="The only columns to read, by their names in the source."
    )
    exclude: Names | None = Field(
        default=None, description="Columns not to read, by their names in the source."
    )
    rename: dict[Text, Text] = Field(
        default_factory=dict,
        description="Column of the source to its name in the file, which `quality` and "
        "`meta_columns` then mean.",
    )
    mask: Masks = Field(
        default_factory=dict,
        description="Column of the source to hash (SHA-256 of its text), redact (***) or null.",
    )
    strict_types: Flag = Field(
        default=False, description="Fail on columns that only have a text form in the file."
    )
    target: Literal["bigquery", "bq", "duckdb", "snowflake", "clickhouse"] | None = Field(
        default=None, description="Warehouse that the type report speaks about."
    )
    on_schema_drift: DriftPolicy = Field(
        default=DriftPolicy.WARN,
        description="What happens when the columns differ from the last run's.",
    )
    shape_drift_warn_factor: Factor | None = Field(
        default=None, description="Warn where text grew by this factor; 0 is off."
    )
    parquet: ParquetConfig | None = Field(default=None, description="Row groups of Parquet files.")
    source_group: Text | None = Field(
        default=None,
        description="Planning hint: exports that load the same server. A run is as without.",
    )
    reconcile_required: Flag = Field(
        default=False,
        description="Planning hint: this export should be reconciled. A run is as without.",
    )
    wave: Whole | None = Field(
        default=None, description="Planning hint: order among exports. A run is as without."
    )
    parallel_safe: Flag | None = Field(
        default=None, description="Planning hint: may run beside others. A run is as without."
    )
    on_overlap: Literal["refuse", "wait"] = Field(
        default="refuse",
        description="When the same export is already running: stop with exit 5, or wait.",
    )
    consistency: Literal["chunk", "export", "run"] = Field(
        default="export",
        description="What shares one snapshot: a chunk, the export, or all exports.",
    )
    load: LoadOverride | None = Field(
        default=None, description="What this export changes of the load."
    )
    cdc: CdcConfig | None = Field(default=None, description="Change capture; for mode cdc.")

    @property
    def holds_rows_of_its_own(self) -> bool:
        """Whether a run takes only what is new, so that every run's files are needed."""
        return self.mode in {Mode.INCREMENTAL, Mode.CDC} or self.keyset_incremental

    @property
    def cursor(self) -> str | None:
        """The column that a run goes on by; None where the mode goes by none, whatever keys say."""
        if self.mode is Mode.INCREMENTAL:
            return self.cursor_column
        return self.chunk_by_key if self.keyset_incremental else None

    @property
    def cursor_fallback(self) -> str | None:
        """The column that stands for a cursor which is NULL; None in modes that have none."""
        return self.cursor_fallback_column if self.mode is Mode.INCREMENTAL else None

    @property
    def workers(self) -> int:
        """The most chunks that are read at the same time; 1 where the mode has none."""
        return self.parallel if self.mode is Mode.CHUNKED else 1

    @property
    def lookback_s(self) -> int:
        """`lookback` in seconds, or as a plain number; 0 without it."""
        return parse_duration(self.lookback) if self.lookback else 0
