"""Shared snapshot: one instant for all exports of an invocation, across threads and processes.

The invocation holds it on a session of its own from before the first export until after the last;
exports enter it. Whoever cannot enter fails: another instant would not be what was asked for.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rivet.config.resolve import resolve_tuning
from rivet.errors import RivetError, SourceError, UnsupportedPlanError
from rivet.execution.selection import relation_of
from rivet.execution.snapshot.budget import shares_of
from rivet.execution.snapshot.holder import PING_S
from rivet.execution.snapshot.sessions import open_sessions
from rivet.sources import load_engine
from rivet.sources.abilities import CountsConnections, ExportsSnapshots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rivet.config.models import Config, ExportConfig
    from rivet.model.relation import Relation
    from rivet.model.source import SharedSnapshot
    from rivet.sources.base import HasSnapshots

_LEAST: Final = 2


@contextmanager
def shared_snapshot(
    config: Config, exports: Sequence[ExportConfig], max_concurrent: int, env: Mapping[str, str]
) -> Iterator[SharedSnapshot | None]:
    """Hold one instant for the exports that ask for `consistency: run` while the body runs.

    Args:
        config: Its source.
        exports: All exports of the invocation.
        max_concurrent: How many of them run at the same time.
        env: For secrets.

    Raises:
        UnsupportedPlanError: The engine cannot, or the server has too few connections.
        SourceError: The source cannot be reached, or a table is locked for too long.
    """
    wanted = [one for one in exports if one.consistency == "run"]
    if not wanted:
        yield None
        return
    limit = config.max_connections
    if limit is not None and limit < _LEAST:
        msg = "`consistency: run` holds a connection of its own, which `max_connections: 1` leaves"
        msg += " none to read with"
        raise UnsupportedPlanError(msg, hint=f"set `max_connections` to {_LEAST} or more")
    sessions = open_sessions(config, resolve_tuning(config), env, max_connections=limit and 1)
    with sessions, sessions.dedicated() as session:
        if not isinstance(session, ExportsSnapshots):
            title = load_engine(config.source.type).CAPABILITIES.title
            msg = f"`consistency: run`: sessions of {title} cannot enter the instant of another one"
            raise UnsupportedPlanError(msg, hint="use `consistency: export`, the default")
        shares = limit and shares_of(limit, concurrent=max_concurrent, held=1)
        _refuse_too_many(session, wanted, max_concurrent, shares or ())
        began_at_s = time.time()  # before it began, so that nobody thinks it younger
        exported = session.export_snapshot(_readable(config, wanted))
        with _kept_alive(session):
            yield replace(exported, began_at_s=began_at_s)


def _readable(config: Config, wanted: Sequence[ExportConfig]) -> list[Relation]:
    """Return what exports read; what is wrong with one of them, it says itself."""
    found = []
    for one in wanted:
        with suppress(RivetError):
            found.append(relation_of(config, one))
    return found


def _refuse_too_many(
    session: object, wanted: Sequence[ExportConfig], max_concurrent: int, shares: tuple[int, ...]
) -> None:
    if not isinstance(session, CountsConnections):
        return
    largest = sorted((one.workers for one in wanted), reverse=True)[: max(max_concurrent, 1)]
    if shares:
        largest = [min(pair) for pair in zip(largest, shares, strict=False)]
    needed, free = sum(largest), session.free_connections()
    if needed > free:
        msg = f"`consistency: run` needs {needed} connections at a time, the server has {free} left"
        raise UnsupportedPlanError(msg, hint="run fewer exports at once, or lower `parallel`")


@contextmanager
def _kept_alive(session: HasSnapshots) -> Iterator[None]:
    """Ask the session for something small now and then, so that nobody takes it for dead."""
    stopped = threading.Event()

    def ping() -> None:
        with suppress(SourceError):  # whoever enters next finds out
            while not stopped.wait(PING_S):
                session.ping()

    thread = threading.Thread(target=ping, name="rivet-snapshot", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
