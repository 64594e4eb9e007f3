"""Start children through a launcher, their outputs in files, and look at them from outside."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rivet.execution.children.launch import Order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rivet.execution.children.launch import Ending, Launcher

LIMIT_S = 60


def wait_until(is_so, limit_s=LIMIT_S):
    """Poll until a condition holds; fail the test where it never does."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "\nState:\tZ" not in status


def paused(marker: Path) -> int:
    """Return how many runs wait at the fault `pause` until this file is gone."""
    return len(marker.read_text().splitlines())


def open_descriptors(pid: int | str = "self") -> dict[int, str]:
    """Return what each descriptor of a process is open on."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            found[int(link.name)] = str(link.readlink())
    return found


def opened_since(before: Mapping[int, str]) -> dict[int, str]:
    """Return what this process has open and had not; what is collected meanwhile does not count."""
    return {
        number: name
        for number, name in open_descriptors().items()
        if before.get(number) != name and not name.startswith("/proc/")  # that of the listing
    }


@dataclass
class Nursery:
    """Orders for one launcher: `start`, then `wait` for the ending."""

    launcher: Launcher
    directory: Path
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self.ended: dict[int, Ending] = {}
        self._keys = 0

    def order(self, *arguments, environment=None, inherited=(), directory=None):
        """Make an order; both outputs go into files named by its key."""
        self._keys += 1
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
        return Order(
            key=self._keys,
            command=(sys.executable, "-P", "-m", "rivet", *map(str, arguments)),
            environment={**self.environment, **(environment or {})},
            directory=directory or self.directory,
            stdout=os.open(self.path(self._keys, "out"), flags),
            stderr=os.open(self.path(self._keys, "err"), flags),
            inherited=inherited,
        )

    def start(self, *arguments, **settings):
        """Launch a child and close this side's copies of its outputs."""
        order = self.order(*arguments, **settings)
        try:
            return self.launcher.launch(order)
        finally:
            os.close(order.stdout)
            os.close(order.stderr)

    def path(self, key, which):
        """Return the file of an output."""
        return self.directory / f"child-{key}.{which}"

    def text(self, child, which="out"):
        """Return what a child wrote."""
        return self.path(child.key, which).read_text()

    def wait(self, *children):
        """Wait for children; return the ending of the first."""
        poll = select.poll()
        poll.register(self.launcher.fileno(), select.POLLIN)
        while not all(child.key in self.ended for child in children):
            assert poll.poll(LIMIT_S * 1000), "no child ended in time"
            for key, ending in self.launcher.endings():
                assert key not in self.ended
                self.ended[key] = ending
        return self.ended[children[0].key]

    def start_paused(self, config, *arguments, at="started", **settings):
        """Launch a run that waits at an event; return it and the file that holds it there."""
        marker = self.directory / f"hold-{self._keys + 1}"
        marker.touch()
        variables = {
            "RIVET_IPC_EVENTS": "1",
            "RIVET_FAULT": f"pause@{at}",
            "RIVET_FAULT_MARKER": str(marker),
            **settings.pop("environment", {}),
        }
        command = ("run", "--config", config, *arguments)
        child = self.start(*command, environment=variables, **settings)
        wait_until(lambda: f'"{at}"' in self.text(child) or not is_running(child.pid))
        assert is_running(child.pid), self.text(child, "err")
        return child, marker
