"""`tuning:`, for a source and again for one export."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rivet.config.base import Factor, Flag, Positive, Section, Whole


class TuningConfig(Section):
    """How gently the source is read; an export's block overrides the source's key by key."""

    profile: Literal["fast", "balanced", "safe"] | None = Field(
        default=None,
        description="Named set of defaults; without it the environment decides, else balanced.",
    )
    batch_size: Positive | None = Field(
        default=None, description="The most rows of one batch; excludes batch_size_memory_mb."
    )
    batch_size_memory_mb: Positive | None = Field(
        default=None, description="About the most megabytes of one batch; excludes batch_size."
    )
    throttle_ms: Whole | None = Field(
        default=None,
        description="Milliseconds to pause after each batch; 0 unless set or profile is safe.",
    )
    statement_timeout_s: Whole | None = Field(
        default=None,
        description="The most seconds one statement may run on the server; 0 is no limit.",
    )
    max_retries: Whole | None = Field(
        default=None, description="How often a failed connection or chunk is tried again."
    )
    retry_backoff_ms: Whole | None = Field(
        default=None, description="Milliseconds before the first retry; doubled each time."
    )
    lock_timeout_s: Whole | None = Field(
        default=None, description="The most seconds a statement waits for a lock; 0 is no limit."
    )
    memory_threshold_mb: Whole | None = Field(
        default=None, description="Pause reading while the process uses more megabytes; 0 is off."
    )
    max_batch_memory_mb: Positive | None = Field(
        default=None,
        description="A batch above this many megabytes triggers on_batch_memory_exceeded.",
    )
    on_batch_memory_exceeded: Literal["warn", "fail", "auto_shrink"] | None = Field(
        default=None, description="What happens to a batch above max_batch_memory_mb."
    )
    adaptive: Flag | None = Field(
        default=None,
        description="Let the measured pressure of the server steer batches and workers.",
    )
    min_parallel: Positive | None = Field(
        default=None, description="The fewest workers that adaptive may leave."
    )
    max_value_mb: Whole | None = Field(
        default=None,
        description="The largest single value in megabytes; above it fails; 0 is no limit.",
    )
    connect_timeout_s: Positive | None = Field(
        default=None, description="The most seconds to wait for a connection."
    )
    read_timeout_s: Whole | None = Field(
        default=None,
        description="The most seconds to wait for the next bytes of a server; 3600 without it, or "
        "more where a statement's or a lock's own limit is longer; 0 is no limit.",
    )
    max_statement_s: Factor | None = Field(
        default=None,
        description="Seconds of server time to stay below in one slice of a table, 0.5 without it; "
        "0 reads a table in one statement.",
    )
    max_snapshot_age_s: Positive | None = Field(
        default=None,
        description="Seconds after which a snapshot is given up, so that it pins nothing.",
    )
