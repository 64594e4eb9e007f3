"""The sections few exports need: quality, notifications, change capture, settling, loading."""

# ruff: noqa: TC003 - the models' annotations are read when they are built

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.json_schema import WithJsonSchema

from rivet.config.base import (
    Flag,
    Positive,
    Ratio,
    SecretText,
    Section,
    Text,
    Whole,
    reject,
    unique,
)


class QualityConfig(Section):
    """Rules that the rows of an export must hold; a broken one fails it before publication."""

    row_count_min: Whole | None = Field(default=None, description="The fewest rows allowed.")
    row_count_max: Whole | None = Field(default=None, description="The most rows allowed.")
    null_ratio_max: dict[str, Ratio] = Field(
        default_factory=dict, description="Column to the largest share of NULLs, 0 to 1."
    )
    unique_columns: tuple[Text, ...] = Field(
        default=(), description="Columns in each of which no value may occur twice."
    )
    unique_max_entries: Positive | None = Field(
        default=None, description="The most values remembered per unique column."
    )


class SlackConfig(Section):
    """Messages to Slack."""

    webhook_url: SecretText | None = Field(
        default=None, description="The webhook; prefer webhook_url_env."
    )
    webhook_url_env: Text | None = Field(
        default=None, description="Variable that holds the webhook."
    )
    on: tuple[Literal["failure", "schema_change", "degraded"], ...] = Field(
        default=(), description="What to tell."
    )


class NotificationsConfig(Section):
    """Who is told what happened."""

    slack: SlackConfig | None = Field(default=None, description="Messages to Slack.")


def _word_reader(*words: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:  # noqa: ANN401 - any YAML value
        if not isinstance(value, str):
            return value
        if value not in words:
            reject("word_or_list", {"words": " or ".join(words)})
        return (value,)

    return read


def _word_schema(*words: str) -> WithJsonSchema:
    names = {"type": "array", "items": {"type": "string"}}
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, names]})


AutoOrNames = Annotated[
    tuple[Text, ...],
    AfterValidator(unique),
    BeforeValidator(_word_reader("auto")),
    _word_schema("auto"),
]
KeyColumns = Annotated[
    tuple[Text, ...],
    AfterValidator(unique),
    BeforeValidator(_word_reader("auto", "none")),
    _word_schema("auto", "none"),
]


class CdcConfig(Section):
    """Change capture."""

    initial: Literal["snapshot"] | None = Field(
        default=None, description="Begin with a whole copy."
    )
    checkpoint: Text | None = Field(default=None, description="File that keeps the position.")
    until_current: Flag = Field(default=True, description="Stop once the present is reached.")
    max_events: Positive | None = Field(default=None, description="Stop after this many changes.")
    rollover: Positive | None = Field(
        default=None, description="Rows after which a new file begins."
    )
    rollover_memory_mb: Positive | None = Field(
        default=None, description="Megabytes after which a new file begins."
    )
    server_id: Positive | None = Field(default=None, description="Replica number to register with.")
    slot: Text | None = Field(default=None, description="Replication slot.")
    capture_instance: Text | None = Field(default=None, description="Capture instance.")
    backfill: AutoOrNames | None = Field(
        default=None, description="Tables to copy whole once: auto, or a list."
    )


class SettleConfig(Section):
    """Leave out rows that may still change."""

    column: Text | None = Field(default=None, description="Column that tells a row's age.")
    after: Text = Field(description="Age after which a row is taken, such as 10m.")


Granularity = Literal["hour", "day", "month", "year"]


class LoadRangeConfig(Section):
    """Partitions of a warehouse table by ranges of whole numbers."""

    column: Text = Field(description="Column of whole numbers.")
    start: int = Field(description="First value.")
    end: int = Field(description="Value after the last.")
    interval: Positive = Field(description="Width of one partition.")


class LoadPartitionConfig(Section):
    """Partitions of a warehouse table."""

    column: Text | None = Field(default=None, description="Column to partition by.")
    granularity: Granularity | None = Field(default=None, description="Width of one partition.")
    range: LoadRangeConfig | None = Field(default=None, description="Partitions by whole numbers.")
    ingestion: Granularity | None = Field(default=None, description="Partitions by load time.")
    expiration_days: Positive | None = Field(default=None, description="Days a partition is kept.")
    require_filter: Flag = Field(default=False, description="Queries must filter on the partition.")


def _partition(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    return {} if value == "none" else value


Partition = Annotated[LoadPartitionConfig, BeforeValidator(_partition)]


class LoadOverride(Section):
    """What one export or table changes of the load."""

    pk: KeyColumns | None = Field(default=None, description="Key columns.")
    cleanup_source: Flag | None = Field(default=None, description="Remove loaded files.")
    gc_orphans: Flag | None = Field(default=None, description="Remove files no run refers to.")
    cluster_by: KeyColumns | None = Field(default=None, description="Clustering columns.")
    allow_source_drift: Flag | None = Field(
        default=None, description="Load despite changed columns."
    )
    layout: Literal["log_view", "base_buffer"] | None = Field(
        default=None, description="Table layout."
    )
    deleted_flag: Flag | None = Field(default=None, description="Keep deleted rows, marked.")
    partition: Partition | None = Field(default=None, description="Partitions, or none.")
    tables: dict[str, LoadOverride] = Field(default_factory=dict, description="By table.")


class LoadConfig(Section):
    """Loading the files into a warehouse."""

    target: Literal["bigquery", "snowflake", "clickhouse"] = Field(description="Warehouse.")
    project: Text | None = Field(default=None, description="Project.")
    dataset: Text | None = Field(default=None, description="Data set.")
    connection: Text | None = Field(default=None, description="Connection.")
    warehouse: Text | None = Field(default=None, description="Virtual warehouse.")
    database: Text | None = Field(default=None, description="Database.")
    schema_name: Text | None = Field(default=None, alias="schema", description="Schema.")
    storage_integration: Text | None = Field(default=None, description="Storage integration.")
    url: SecretText | None = Field(default=None, description="Server address.")
    user: Text | None = Field(default=None, description="User.")
    password_env: Text | None = Field(default=None, description="Variable that holds the password.")
    named_collection: Text | None = Field(default=None, description="Named collection.")
    ca_file: Text | None = Field(default=None, description="PEM file of a private authority.")
    cleanup_source: Flag = Field(default=False, description="Remove loaded files.")
    pk: KeyColumns | None = Field(default=None, description="Key columns.")
    layout: Literal["log_view", "base_buffer"] | None = Field(
        default=None, description="Table layout."
    )
    deleted_flag: Flag | None = Field(default=None, description="Keep deleted rows, marked.")
    allow_source_drift: Flag = Field(default=False, description="Load despite changed columns.")
    gc_orphans: Flag = Field(default=False, description="Remove files no run refers to.")
    cluster_by: KeyColumns | None = Field(default=None, description="Clustering columns.")
    partition: Partition | None = Field(default=None, description="Partitions, or none.")
