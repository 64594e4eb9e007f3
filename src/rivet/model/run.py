"""Runs as the state store keeps them: what began, what came of it, and whole invocations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rivet.model.metrics import RunMetrics

if TYPE_CHECKING:
    from datetime import datetime


class RunStatus(StrEnum):
    """Where a run is in its life; every status but `running` is final."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of one export as it begins.

    Attributes:
        run_id: Unique name of the run.
        started_at: Aware UTC; for people only, the store orders runs by their arrival.
        engine: Canonical engine name.
        destination_uri: Where parts go; holds no secret.
        fingerprint: The plan's fingerprint.
        host: Name of the machine the run is on.
        pid: Its process there.
        plan_json: What a manifest needs that parts do not carry, as JSON; holds no secret.
    """

    run_id: str
    export_name: str
    started_at: datetime
    mode: str
    engine: str
    destination_type: str
    destination_uri: str
    format: str
    compression: str
    fingerprint: str
    tuning_profile: str = ""
    batch_size: int = 0
    rivet_version: str = ""
    host: str = ""
    pid: int = 0
    plan_json: str = "{}"


@dataclass(frozen=True, slots=True)
class RunOutcome(RunMetrics):
    """What came of a run: its metrics and its verdict.

    Attributes:
        status: Any final status but `superseded`, which only a newer run gives.
    """

    status: RunStatus
    finished_at: datetime
    error_code: str | None = None
    error_message: str | None = None
    skip_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as the store knows it.

    Attributes:
        sequence: Start order within the store: a later run has a higher number.
        outcome: None while it runs, and for a run that was superseded.
        superseded_by: The run that found this one dead.
        manifest_at: When its manifest was durable; None before.
    """

    sequence: int
    record: RunRecord
    status: RunStatus
    outcome: RunOutcome | None = None
    superseded_by: str | None = None
    manifest_at: datetime | None = None

    @property
    def run_id(self) -> str:
        """The run's unique name."""
        return self.record.run_id

    @property
    def export_name(self) -> str:
        """The export it is a run of."""
        return self.record.export_name


@dataclass(frozen=True, slots=True)
class AggregateRecord:
    """One invocation of several exports, when it is over.

    Attributes:
        details_json: The entries of `per_export` as a JSON array.
    """

    run_aggregate_id: str
    started_at: datetime
    finished_at: datetime
    duration_ms: int
    config_path: str
    parallel_mode: str
    total_exports: int
    success_count: int
    failed_count: int
    skipped_count: int
    total_rows: int
    total_files: int
    total_bytes: int
    details_json: str
