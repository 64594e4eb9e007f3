"""A configuration of one export in a folder of its own, run in this process by given workers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rivet.config.load import load_config
from rivet.execution.context import RunContext, RunOptions
from rivet.execution.many.one_export import run_single
from rivet.execution.snapshot.shared import shared_snapshot
from rivet.state.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

RUN = "t_20260101T000000.000_00000000"  # one for all: it is part of the names of the parts


@dataclass
class Place:
    """A configuration in a folder of its own."""

    folder: Path
    source: dict[str, Any]
    keys: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)
    run_id: str | None = RUN
    place: str = "out"

    def run(self, make=None, **options):
        self.folder.mkdir(exist_ok=True)
        export = {
            "name": "t",
            "table": "t",
            "format": "parquet",
            "destination": {"type": "local", "path": self.place},
            **self.keys,
        }
        path = self.folder / "rivet.yaml"
        path.write_text(json.dumps({"source": self.source, "exports": [export]}))
        config = load_config(path)
        with (
            open_store(self.folder) as state,
            shared_snapshot(config, config.exports, 1, self.env) as snapshot,
        ):
            self.state = state
            context = RunContext(
                config,
                RunOptions(**options),
                state,
                lambda _: None,
                self.env,
                workers=make,
                snapshot=snapshot,
            )
            return run_single(config.exports[0], context, run_id=self.run_id)[0]

    def parts(self):
        """What the manifest says of the parts, in its order, and the bytes of each."""
        listed = json.loads((self.folder / "out/manifest.json").read_text())["parts"]
        own = {"path", "recorded_at", "snapshot"}  # by claim, by the clock, by what else is written
        return [
            (
                (self.folder / "out" / part["path"]).read_bytes(),
                {key: told for key, told in part.items() if key not in own},
            )
            for part in listed
        ]

    def files(self):
        listed = json.loads((self.folder / "out/manifest.json").read_text())["parts"]
        return [str(self.folder / "out" / part["path"]) for part in listed]
