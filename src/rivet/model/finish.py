"""The finish of a run: what one transaction puts on record once everything is published."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rivet.model.metrics import metrics_from_json, metrics_to_json
from rivet.model.owner import Owner
from rivet.model.run import RunOutcome, RunStatus
from rivet.model.seal import seal_of
from rivet.model.source import Position


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a publisher has published of a run.

    Attributes:
        publisher: Its name.
        place: Where; holds no secret.
        digest: Of what is there now, as the publisher tells one version from another.
    """

    publisher: str
    place: str
    digest: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The verdict of a run and what its export remembers of it.

    Attributes:
        outcome: The verdict.
        watermark: Where the next run goes on; None where nothing moves.
        owner: What the watermark belongs to.
        adopts: A watermark of an earlier run that does not say whose it is becomes the owner's.
        columns: Name and Arrow type of each column; None where they are not to be remembered.
    """

    outcome: RunOutcome
    watermark: Position | None = None
    owner: Owner | None = None
    adopts: bool = False
    columns: tuple[tuple[str, str], ...] | None = None

    def to_json(self) -> str:
        """Return it as one line of JSON, sealed."""
        verdict = self.outcome
        outcome = {
            "status": verdict.status,
            "finished_at": verdict.finished_at.isoformat(),
            "error_code": verdict.error_code,
            "error_message": verdict.error_message,
            "skip_reason": verdict.skip_reason,
            **metrics_to_json(verdict),
        }
        body = json.dumps(
            {
                "outcome": outcome,
                "watermark": None if self.watermark is None else asdict(self.watermark),
                "owner": None if self.owner is None else self.owner.to_json(),
                "adopts": self.adopts,
                "columns": self.columns,
            },
            separators=(",", ":"),
        )
        return json.dumps([body, seal_of(body)])

    @classmethod
    def from_json(cls, told: str) -> Finish:
        """Read it again.

        Raises:
            ValueError: It is not what was written.
        """
        body, seal = json.loads(told)
        if seal_of(body) != seal:
            msg = "the seal does not fit"
            raise ValueError(msg)
        values = json.loads(body)
        watermark, owner, columns = values["watermark"], values["owner"], values["columns"]
        return cls(
            _outcome(values["outcome"]),
            None if watermark is None else Position(**watermark),
            None if owner is None else Owner.from_json(owner),
            values["adopts"],
            None if columns is None else tuple((name, kind) for name, kind in columns),
        )


def _outcome(told: dict[str, Any]) -> RunOutcome:
    if "files" in told:  # as earlier versions have it
        told["file_count"] = told["files"]
    return RunOutcome(
        status=RunStatus(told["status"]),
        finished_at=datetime.fromisoformat(told["finished_at"]),
        error_code=told["error_code"],
        error_message=told["error_message"],
        skip_reason=told["skip_reason"],
        **metrics_from_json(told),
    )
