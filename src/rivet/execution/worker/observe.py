"""Data quality observations of a chunk: counted while its rows pass, saved with its parts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rivet.execution.worker.quality import QualityGate


@dataclass(slots=True)
class Observations:
    """What one chunk tells of its rows, so that a run that goes on can judge all of them.

    Attributes:
        gate: What the quality rules ask about; None without rules.
        nulled: Values that became NULL, by column.
    """

    gate: QualityGate | None = None
    nulled: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str | None:
        """Return them as one line of JSON; None where there is nothing to keep."""
        if self.gate is None and not self.nulled:
            return None
        body: dict[str, Any] = {"nulled": self.nulled}
        if self.gate is not None:
            body["quality"] = self.gate.to_json()
        return json.dumps(body, separators=(",", ":"))

    def absorb_json(self, told: str) -> None:
        """Add what another chunk of the same rules told.

        Raises:
            ValueError: It is not what was written.
        """
        try:
            body = json.loads(told)
            for column, count in body["nulled"].items():
                self.nulled[column] = self.nulled.get(column, 0) + int(count)
            if self.gate is not None:
                self.gate.absorb_json(body["quality"])
        except (KeyError, TypeError, AttributeError) as error:
            msg = "observations of another shape"
            raise ValueError(msg) from error
