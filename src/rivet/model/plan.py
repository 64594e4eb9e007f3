"""A resolved plan: what one run of one export will do, free of secrets and of I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rivet.model.shape import WHOLE_SHAPE, Shape, ShapeKind

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.model.columns import Column
    from rivet.model.output import OutputPlan
    from rivet.model.relation import Relation, TableFacts


READ_AHEAD_BYTES: Final = 32 * 1024 * 1024
"""As much as one row group, so that the reader is never idle while a group is encoded."""


class Mode(StrEnum):
    """How an export takes its rows."""

    FULL = "full"
    INCREMENTAL = "incremental"
    CHUNKED = "chunked"
    TIME_WINDOW = "time_window"
    CDC = "cdc"


class DriftPolicy(StrEnum):
    """What happens when the columns differ from those of the last run."""

    WARN = "warn"
    CONTINUE = "continue"
    FAIL = "fail"


class Consistency(StrEnum):
    """What is read in one instant."""

    CHUNK = "chunk"
    EXPORT = "export"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class ReadTuning:
    """How the source is read.

    Attributes:
        profile: Label of the tuning profile, such as `balanced (default)`.
        batch_rows: The most rows of one batch.
        batch_bytes: About the most bytes of one batch.
        throttle_ms: Pause after each batch; 0 is none.
        max_value_bytes: The largest single value allowed; 0 is no limit.
        fetch_rows: Rows per portion of a query that is read by a cursor; 0 is one statement.
        memory_threshold_bytes: Chunks wait while the process holds more; 0 is no limit.
        max_statement_s: Server seconds to aim at per statement, where tables are read in slices.
        read_ahead_bytes: What may be read before it is written, by each worker.
        max_snapshot_age_s: How long an instant is held at the most.
    """

    profile: str
    batch_rows: int
    batch_bytes: int
    throttle_ms: int = 0
    max_value_bytes: int = 256 * 1024 * 1024
    max_snapshot_age_s: float = 3600.0
    fetch_rows: int = 0
    memory_threshold_bytes: int = 0
    max_statement_s: float = 0.5
    read_ahead_bytes: int = READ_AHEAD_BYTES


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """One export, resolved.

    Attributes:
        export_name: Name in the configuration.
        run_id: Unique name of this run.
        started_at: Aware UTC; `{date}` and the manifest come from it.
        engine: Canonical engine name.
        relation: What is read.
        columns: Its columns in file order.
        facts: What the catalog says of the relation.
        mode: How rows are taken.
        output: How files are written.
        destination_uri: Where parts go, for people: no secrets.
        shape: How it is cut into chunks.
        workers: Chunks that are read at the same time.
        consistency: What shares one instant.
        fingerprint: Changes when a run of this plan would read other rows or write other types.
    """

    export_name: str
    run_id: str
    started_at: datetime
    engine: str
    relation: Relation
    columns: tuple[Column, ...]
    facts: TableFacts
    mode: Mode
    output: OutputPlan
    tuning: ReadTuning
    destination_type: str
    destination_uri: str
    fingerprint: str
    on_schema_drift: DriftPolicy = DriftPolicy.WARN
    shape: Shape = WHOLE_SHAPE
    workers: int = 1
    consistency: Consistency = Consistency.EXPORT

    @property
    def is_apart(self) -> bool:
        """Whether each chunk is read in an instant of its own; blocks need one for all."""
        return self.consistency is Consistency.CHUNK and self.shape.kind is not ShapeKind.BLOCKS
