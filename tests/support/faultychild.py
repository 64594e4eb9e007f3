"""A process of workers, or a child's command, whose sinks fail or hang where a file says so.

Executed as `python faultychild.py <plan> tasks`, or as a child's command, `... <plan> <export>
<arguments of rivet>`, whose last argument is the export. The plan is read at every call, so that
one process can be told of one fault after the other.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__)
HUNG_S = 0.2
"""What a call may take once one hangs."""


@dataclass(frozen=True)
class Faults:
    """The file that says which call fails or hangs, and the one that tells that it hangs."""

    plan: Path

    @property
    def marker(self) -> Path:
        """There since a call hangs."""
        return self.plan.with_suffix(".hangs")

    def command(self, *more: str) -> tuple[str, ...]:
        """Return what a process is started by."""
        return (sys.executable, str(SCRIPT), str(self.plan), *more)

    def processes(self) -> list[int]:
        """Return the processes that have read the plan so far."""
        return [int(path.suffix[1:]) for path in self.plan.parent.glob("plan.pid.*")]

    def none(self) -> None:
        """Let all calls be, and the one that hangs come back."""
        self.set(None, "", 0)

    def set(
        self, call: tuple[str, str] | None, way: str, nth: int, limit_s: float | None = HUNG_S
    ) -> None:
        """Have a call fail or hang the `nth` time that it comes in a process.

        Args:
            call: Which one, and `before` or `after`.
            way: `fail` or `hang`.
            nth: Which time.
            limit_s: How long one that hangs is waited for.
        """
        self.marker.unlink(missing_ok=True)
        new = self.plan.with_suffix(".new")
        told = {"number": time.monotonic_ns(), "call": call, "way": way, "nth": nth}
        told["limit_s"] = limit_s
        new.write_text(json.dumps(told))
        new.replace(self.plan)

    def read(self) -> dict[str, Any]:
        """Return the plan."""
        told: dict[str, Any] = json.loads(self.plan.read_text())
        return told


def _gate(faults: Faults) -> Any:
    from rivet.errors import DestinationError
    from support.sinks import Gate

    class Planned(Gate):
        def __call__(self, call: str, when: str) -> None:
            told = faults.read()
            with self.lock:
                self.seen[told["number"], call, when] += 1
                is_nth = self.seen[told["number"], call, when] == told["nth"]
            where, way = told["call"] or ["", ""], told["way"]
            if way == "fail" and (call, when) == ("abort", "after"):
                raise RuntimeError("an abort that fails")
            if way == "hang" and where[0] == "abort" and (call, when) == ("prepare", "after"):
                raise DestinationError("the store said no")  # which brings an abort about
            if [call, when] != where or not (is_nth or call == "abort"):
                return
            if way == "fail":
                raise DestinationError("the store said no")
            self.limits.timeout_s = told["limit_s"]
            faults.marker.touch()
            while faults.read()["number"] == told["number"]:
                time.sleep(0.01)

    return Planned(("", ""))


def main() -> None:
    """Be the process."""
    sys.path.insert(0, str(SCRIPT.parents[1]))
    from support.sinks import watched_sinks

    plan, role = sys.argv[1:3]
    del sys.argv[1:3]
    Path(plan).with_name(f"plan.pid.{os.getpid()}").touch()
    is_concerned = role in ("tasks", sys.argv[-1])
    with watched_sinks(_gate(Faults(Path(plan)))) if is_concerned else nullcontext():
        if role == "tasks":
            runpy.run_module("rivet.execution.pool.taskprocess", run_name="__main__")
        from rivet.__main__ import main as command

        command()


if __name__ == "__main__":
    main()
