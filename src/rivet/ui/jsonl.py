"""Every event as one JSON line, for programs that watch a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

from rivet.events import to_line
from rivet.redact import redact_json
from rivet.ui.lines import Lines

if TYPE_CHECKING:
    from rivet.events import Event


class JsonScreen:
    """Takes events and writes each as it comes."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = Lines(stream)

    def emit(self, event: Event) -> None:
        """Write one line, in ASCII: no encoding stands in its way and no reader splits it."""
        line = redact_json(to_line(event))
        if not line.isascii():
            line = json.dumps(json.loads(line), separators=(",", ":"))
        self._lines.say(line)
