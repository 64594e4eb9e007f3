"""Choice of launcher: child processes are forked from a preloaded server, or started plainly."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from rivet.execution.children import early, forked
from rivet.execution.children.command import program
from rivet.execution.children.plain import PlainLauncher
from rivet.sources import ENGINES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.execution.children.launch import Ending, Launched, Launcher, Order


def start_launcher(
    environment: Mapping[str, str], engines: Sequence[str] = tuple(ENGINES)
) -> Launcher:
    """Return what will start children; a server begins to load while its caller does other work.

    Another program in the place of Rivet, and a system where forking is not safe, get the plain
    way.

    Args:
        environment: The children's, and so the server's.
        engines: What the exports read from, as far as that is known.

    Raises:
        ConfigError: `RIVET_CHILD_COMMAND` is not valid.
    """
    if program(environment) is None and forked.is_available():
        server = early.take()
        if server is not None:
            return forked.ForkLauncher(server)
        try:
            return forked.ForkLauncher.start(engines, environment=environment)
        except OSError:
            pass  # not even a first process: the plain way will say why
    return PlainLauncher()


def ready_launcher(launcher: Launcher) -> Launcher:
    """Wait until a launcher can start children; where forking cannot, the plain way does."""
    if not isinstance(launcher, forked.ForkLauncher):
        return launcher
    try:
        launcher.wait_ready()
    except forked.ForkingUnavailable:
        launcher.close()
        return PlainLauncher()
    return _WithPlainWay(launcher)


class _WithPlainWay:
    """Forks children as long as there is a server, and starts the others the plain way."""

    def __init__(self, forking: forked.ForkLauncher) -> None:
        self._forking = forking
        self._plain = PlainLauncher()
        self._can_fork = True
        self._watch = select.epoll()
        for one in (self._forking, self._plain):
            self._watch.register(one.fileno(), select.EPOLLIN)

    def launch(self, order: Order) -> Launched:
        if self._can_fork:
            try:
                return self._forking.launch(order)
            except forked.ForkingUnavailable:
                self._can_fork = False
        return self._plain.launch(order)

    def fileno(self) -> int:
        return self._watch.fileno()

    def endings(self) -> list[tuple[int, Ending]]:
        return [*self._forking.endings(), *self._plain.endings()]

    def send_signal(self, key: int, number: int) -> None:
        for one in (self._forking, self._plain):
            one.send_signal(key, number)

    def close(self) -> None:
        self._watch.close()
        self._forking.close()
        self._plain.close()
