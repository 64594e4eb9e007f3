"""Batch observers (data quality): they count while batches pass, and are saved with the parts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from rivet.execution.worker.quality import QualityGate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from rivet.model.quality import QualityRules


class BatchObserver(Protocol):
    """Sees every batch of a chunk before it is encoded; what chunks have seen is merged."""

    def observe(self, batch: pa.RecordBatch) -> None:
        """Count one batch; columns stand where the source's schema has them."""
        ...

    def merge(self, other: Self) -> None:
        """Add what another one of the same kind and rules has seen."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return what was seen, for the state and for other processes."""
        ...

    def merge_json(self, body: Mapping[str, Any]) -> None:
        """Add what another one had returned from `to_json`.

        Raises:
            KeyError: It is one of other rules.
            ValueError: It is not what was written.
        """
        ...


@dataclass(slots=True)
class Observations:
    """What one chunk tells of its rows, so that a run that goes on can judge all of them.

    Attributes:
        gate: What the quality rules ask about; None without rules.
        nulled: Values that became NULL, by column.
    """

    gate: QualityGate | None = None
    nulled: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: QualityRules | None, schema: pa.Schema) -> Self:
        """Return observations that have seen nothing yet, of what an export asks for.

        Raises:
            PlanError: A rule names a column that is not there.
        """
        return cls(None if rules is None else QualityGate(rules, schema))

    @property
    def observers(self) -> dict[str, BatchObserver]:
        """Those that want to see the batches, by the names that the state keeps them under."""
        return {} if self.gate is None else {"quality": self.gate}

    def observe(self, batch: pa.RecordBatch) -> None:
        """Show a batch to every observer."""
        for one in self.observers.values():
            one.observe(batch)

    def merge(self, other: Observations) -> None:
        """Add what another chunk of the same rules told."""
        for column, count in other.nulled.items():
            self.nulled[column] = self.nulled.get(column, 0) + count
        theirs = other.observers
        for name, one in self.observers.items():
            one.merge(theirs[name])

    def to_json(self) -> str | None:
        """Return them as one line of JSON; None where there is nothing to keep."""
        if not self.observers and not self.nulled:
            return None
        body: dict[str, Any] = {"nulled": self.nulled}
        body |= {name: one.to_json() for name, one in self.observers.items()}
        return json.dumps(body, separators=(",", ":"))

    def merge_json(self, told: str) -> None:
        """Add what another chunk of the same rules told.

        Raises:
            ValueError: It is not what was written.
        """
        try:
            body = json.loads(told)
            for column, count in body["nulled"].items():
                self.nulled[column] = self.nulled.get(column, 0) + int(count)
            for name, one in self.observers.items():
                one.merge_json(body[name])
        except (KeyError, TypeError, AttributeError) as error:
            msg = "observations of another shape"
            raise ValueError(msg) from error
