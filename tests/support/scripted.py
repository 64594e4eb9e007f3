"""Runs whose children are scripted, looked at from outside while they go on."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from support.children import is_running, open_descriptors

if TYPE_CHECKING:
    import subprocess

    from support.cli import Rivet
    from support.shop import Shop

CHILD = Path(__file__).with_name("scripted_child.py")
_SCRIPT = "behaviours.json"
_SAMPLE_S = 0.05
_LEFT_DEFUNCT_S = 1.0  # a busy machine lets a parent wait before it can look


def scripted(shop: Shop, assignment: dict[str, str], **export: Any) -> dict[str, str]:
    """Configure one export per name; return the variables that make its child behave as told.

    The behaviours are those of `scripted_child.py`, as `name` or `name:details`.
    """
    shop.configure(*({"table": "orders", **export, "name": name} for name in assignment))
    return scripted_command(shop.directory, assignment)


def scripted_command(directory: Path, assignment: dict[str, str]) -> dict[str, str]:
    """Return the variables that put the scripted child in the place of Rivet."""
    script = directory / _SCRIPT
    script.write_text(json.dumps(assignment))
    command = [sys.executable, "-S", "-E", str(CHILD), str(script)]
    return {"RIVET_CHILD_COMMAND": json.dumps(command)}


def has_begun(directory: Path, name: str) -> bool:
    """Whether a child that hangs has set its handler, and its parent has read that it started."""
    return (directory / f"{_SCRIPT}.{name}").exists()


def start(rivet: Rivet, shop: Shop, variables: dict[str, str], *flags: str, **options: Any) -> Any:
    """Start a run with one process per export and its result as JSON; wait for it yourself."""
    environment = {**rivet.environment, **variables}
    return rivet.start("run", "-c", shop.config, "--json", *flags, env=environment, **options)


@dataclass(eq=False)
class Overseer(threading.Thread):
    """Looks at a process and all below it every 50 ms until it ends.

    Attributes:
        directory: Working directory of the run; whatever works in it belongs to the run.
        hanging: Names of exports whose scripted children get a TERM once they have begun.
        known: Every process ever seen below it, by pid and creation time.
        defunct: Children seen as a zombie by two looks in a row.
        busiest: Descriptors of the process, at the most.
        most_memory: Resident bytes of the process, at the most.
    """

    pid: int
    directory: Path
    hanging: tuple[str, ...] = ()
    known: dict[tuple[int, float], psutil.Process] = field(default_factory=dict)
    defunct: list[str] = field(default_factory=list)
    looks: int = 0
    busiest: int = 0
    most_memory: int = 0
    most_children: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(self.pid)
        self._zombies: dict[tuple[int, float], float] = {}

    def run(self) -> None:
        try:
            while self._process.status() != psutil.STATUS_ZOMBIE:
                self._look()
                time.sleep(_SAMPLE_S)
        except (psutil.Error, FileNotFoundError, ProcessLookupError):
            return  # it ended meanwhile

    def _look(self) -> None:
        before, self._zombies = self._zombies, {}
        children = self._process.children(recursive=True)
        for child in children:
            self._look_at(child)
        # The first process of a test ends at once: its descriptors are counted before its memory.
        descriptors = len(open_descriptors(self.pid))
        now = time.monotonic()
        for key in self._zombies:
            since = self._zombies[key] = before.get(key, now)
            if now - since > _LEFT_DEFUNCT_S:
                self.defunct.append(str(self.known[key]))
        self.looks += 1
        self.busiest = max(self.busiest, descriptors)
        self.most_children = max(self.most_children, len(children))
        self.most_memory = max(self.most_memory, self._process.memory_info().rss)

    def _look_at(self, child: psutil.Process) -> None:
        key = (child.pid, child.create_time())
        self.known[key] = child
        try:
            if child.status() == psutil.STATUS_ZOMBIE:
                self._zombies[key] = 0.0
            elif self._is_to_end(child.cmdline()[-1]):
                child.terminate()
        except (psutil.Error, IndexError):
            return  # it ended meanwhile

    def _is_to_end(self, name: str) -> bool:
        return name in self.hanging and has_begun(self.directory, name)

    def left(self) -> list[str]:
        """Return the command lines of what still runs of this run."""
        found = {}
        for process in (*self.known.values(), *psutil.process_iter()):
            with suppress(psutil.Error):  # it ended meanwhile
                is_ours = process in self.known.values() or Path(process.cwd()) == self.directory
                if is_ours and process.is_running() and is_running(process.pid):
                    found[process.pid] = " ".join(process.cmdline())
        return [*found.values()]


def finish(
    process: subprocess.Popen[str], overseer: Overseer, limit_s: float = 60
) -> tuple[int, Any, str]:
    """Wait for a started run; return its exit code, its JSON document and its words."""
    try:
        stdout, stderr = process.communicate(timeout=limit_s)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    overseer.join()
    return process.returncode, json.loads(stdout), stderr
