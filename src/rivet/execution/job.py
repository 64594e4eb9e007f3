"""Job: one export, resolved and ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rivet.config.resolve import quality_rules
from rivet.model.plan import Consistency
from rivet.model.shape import ShapeKind

if TYPE_CHECKING:
    import pyarrow as pa

    from rivet.config.models import ExportConfig
    from rivet.execution.worker.enrich import Enricher
    from rivet.execution.worker.observe import Observations
    from rivet.execution.worker.retry import RetryPolicy
    from rivet.formats.base import Format
    from rivet.model.owner import Owner
    from rivet.model.plan import ExportPlan
    from rivet.model.quality import QualityRules
    from rivet.model.window import Window


@dataclass(frozen=True, slots=True)
class Job:
    """One export ready to run.

    Attributes:
        schema: Arrow schema of the source columns, without added ones.
        enricher: Adds the meta columns; its schema is that of the files.
        is_listable: Whether the destination can hold a manifest.
        is_adaptive: The pressure of the source decides how many chunks are read at a time.
        least_workers: The fewest that it may leave.
        window: What this run takes; None for modes that take everything.
        owner: What its progress belongs to; None where it will have none.
        note: What the user should know of a choice that the plan made for them.
    """

    plan: ExportPlan
    retry: RetryPolicy
    file_format: Format
    schema: pa.Schema
    enricher: Enricher
    export: ExportConfig
    is_listable: bool
    takes_all_columns: bool = True
    note: str | None = None
    window: Window | None = None
    is_adaptive: bool = False
    least_workers: int = 1
    owner: Owner | None = None

    @property
    def is_chunked(self) -> bool:
        """Whether the export is cut into chunks, be it only one in the end."""
        return self.plan.shape.kind is not ShapeKind.WHOLE

    @property
    def survives_new_snapshot(self) -> bool:
        """Whether its chunks hold the same rows in another instant, so that it can be resumed."""
        # A window would be another one by then, and with it the watermark.
        return self.window is None and (
            self.plan.shape.survives_new_snapshot or self.plan.consistency is Consistency.CHUNK
        )

    @property
    def is_resumable(self) -> bool:
        """Whether a run of it that ends early can be gone on with."""
        return self.is_chunked and self.survives_new_snapshot

    @property
    def rules(self) -> QualityRules | None:
        """What must hold of its rows; None where the export has no rules."""
        return quality_rules(self.export)

    def observations(self) -> Observations:
        """Return observations of its rows that have seen nothing yet.

        Raises:
            PlanError: A rule names a column that is not there.
        """
        from rivet.execution.worker.observe import Observations

        return Observations.of(self.rules, self.schema)
