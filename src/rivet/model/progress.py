"""Where the next run of an export goes on, as a manifest keeps it for a state that is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rivet.model.seal import seal_of


@dataclass(frozen=True, slots=True)
class Progress:
    """A watermark in a manifest.

    Attributes:
        engine: As of the position.
        kind: The same.
        text: The same.
        is_approximate: The same.
        owner: Whose it is, as `Owner.to_json` writes it.
        seal: Hash over the run id and the other fields; tells damage.
    """

    engine: str
    kind: str
    text: str
    is_approximate: bool = True
    owner: str | None = None
    seal: str = ""

    def sealed(self, run_id: str) -> Progress:
        """Return it with the seal that it has in the manifest of a run."""
        fields = (self.engine, self.kind, self.text, int(self.is_approximate), self.owner)
        return replace(self, seal=seal_of(run_id, *fields))
