"""Connection pool of one export: each thread acquires a session; broken ones are replaced.

What sessions see together is `holder.py`'s affair; here a session is a connection.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from rivet.config.resolve import resolve_source
from rivet.errors import RivetError, SourceUnavailableError
from rivet.execution.snapshot.budget import END_WAIT_S, FEW, ConnectionBudget
from rivet.execution.snapshot.connection_limits import CONNECTIONS_LEFT, wait_for_slot
from rivet.model.sourceref import source_ref
from rivet.sources import load_engine
from rivet.sources.abilities import CountsConnections, TakesTurns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from rivet.config.models import Config
    from rivet.config.resolve import ResolvedTuning
    from rivet.execution.stopping import StopRequest
    from rivet.model.source import SessionSettings, SourceAddress
    from rivet.model.sourceref import SourceRef
    from rivet.sources.base import Engine, Session


def open_sessions(
    config: Config,
    tuning: ResolvedTuning,
    env: Mapping[str, str],
    stop: StopRequest | None = None,
    on_wait: Callable[[str], None] | None = None,
    max_connections: int | None = None,
) -> SessionPool:
    """Resolve the source and return its sessions; nothing is contacted yet.

    Args:
        config: Its source.
        tuning: Time limits of the sessions.
        env: For secrets.
        stop: Cancels what they run.
        on_wait: Told what is waited for, once that takes long.
        max_connections: The most that the pool may hold at a time; None without a limit.

    Raises:
        ConfigError: The address cannot be resolved.
    """
    address = resolve_source(config, env)
    # A whole relation is one statement in this version, so only a limit the user chose holds.
    settings = replace(tuning.session_settings(is_query=True), on_wait=on_wait)
    budget = ConnectionBudget(max_connections)
    return SessionPool(load_engine(address.engine), address, settings, stop, budget)


class SessionPool:
    """Opens sessions on one address, each acquired by one thread at a time, and keeps them after.

    A request to stop, where there can be one, cancels what acquired sessions run.

    Attributes:
        engine: What opens them.
        opened: How many sessions were opened so far.
        is_cancelled: Whoever reads is to end.
        refusal: Why `gather` found fewer sessions than were wanted; None where it did not.
        on_close: Told of each session that is closed before the pool is.
    """

    def __init__(
        self,
        engine: Engine,
        address: SourceAddress,
        settings: SessionSettings,
        stop: StopRequest | None = None,
        budget: ConnectionBudget | None = None,
    ) -> None:
        self.engine = engine
        self._address = address
        self._budget = budget or ConnectionBudget()
        settings = replace(settings, is_stopped=self._is_stopped)
        if self._budget.limit is not None:
            settings = replace(
                settings,
                end_wait_s=END_WAIT_S,
                keep_end=self._budget.keep,
                may_connect=self._budget.beside,
            )
        self._settings = settings
        self._stop = stop
        self._lock = threading.RLock()
        self._idle: list[Session] = []
        self._checked_out: dict[int, Session] = {}
        self._reserved: list[Session] = []
        self.opened = 0
        self.is_cancelled = False
        self.refusal: str | None = None
        self.on_close: Callable[[Session], None] | None = None

    @property
    def source(self) -> tuple[SourceRef, dict[str, str]]:
        """What another process opens sessions like these by: a reference, and its secrets."""
        return source_ref(self._address, self._settings)

    @property
    def has_room(self) -> bool:
        """Whether the budget leaves one connection more, beside the one kept to cancel with."""
        limit, left = self._budget.limit, self._budget.left
        if limit is None or left is None:
            return True
        kept = self.engine.CAPABILITIES.cancels_by_connection and limit > FEW
        return left > int(kept)

    def gather(self, workers: int, *, spare: int = 0, dedicated: int = 0) -> int:
        """Make sure of a session for each of `workers` threads, as far as the source has any.

        Each is held until it reads, so that none waits for what another one has: a pooler would
        let it wait for ever. What refused the next one is in `refusal`.

        Args:
            workers: How many threads.
            spare: Sessions to open besides, where there are enough.
            dedicated: How many others will be opened meanwhile.

        Returns:
            For how many threads there are sessions; at least 1.

        Raises:
            SourceError: The source cannot be asked, or has not a single session.
        """
        self.refusal = None
        with self.acquire() as session:
            if workers == 1:
                return 1
            wanted = self._affordable(workers, spare, dedicated)
            if isinstance(session, CountsConnections):
                # One is open already.
                free = session.free_connections() - CONNECTIONS_LEFT
                wanted = max(min(wanted, free + 1), 1)
            if isinstance(session, TakesTurns):
                session.occupy(self._settings.connect_timeout_s)
        with self._lock, suppress(SourceUnavailableError):
            while len(self._idle) < wanted:
                self._idle.append(self._occupying())
        return min(len(self._idle), workers)

    def _affordable(self, workers: int, spare: int, dedicated: int) -> int:
        """Return how many sessions the budget has room for, one of which is open already."""
        limit = self._budget.limit
        if limit is None:
            return workers + spare
        room = limit
        for kept in (self.engine.CAPABILITIES.cancels_by_connection, dedicated):
            if room - kept >= FEW:  # with fewer there would be nothing side by side
                room -= kept
        if room < workers:
            some = "one connection" if limit == 1 else f"{limit} connections"
            self.refusal = f"`max_connections` leaves this export {some}"
        return max(min(workers + spare, room), 1)

    def _occupying(self) -> Session:
        try:
            session = self._connect()
            if isinstance(session, TakesTurns):
                session.occupy(self._settings.connect_timeout_s)
        except SourceUnavailableError as error:
            self.refusal = error.message
            raise
        return session

    def spread(self) -> None:
        """Let every session that was gathered read in a snapshot of its own."""
        for session in self._idle:
            session.release()

    def between(self, least: int, most: int) -> tuple[Session, ...]:
        """Open or close sessions that nobody has until there are so many; return them.

        Raises:
            SourceError: A session cannot be opened.
        """
        with self._lock:
            while len(self._idle) < least:
                self._idle.append(self._connect_patiently())
            kept, spare = self._idle[:most], self._idle[most:]
        for session in spare:
            self.close_session(session)
        return tuple(kept)

    def reserve(self, session: Session) -> None:
        """Let nobody acquire an idle session from here on; it is closed with the pool."""
        with self._lock:
            self._idle.remove(session)
            self._reserved.append(session)

    def close_session(self, session: Session) -> None:
        """Close a session that nobody has acquired; a second error must not hide the first."""
        if self.on_close is not None:
            self.on_close(session)
        with self._lock:
            for kept in (self._idle, self._reserved):
                if session in kept:
                    kept.remove(session)
        try:
            with suppress(RivetError):
                session.__exit__(None, None, None)
        finally:
            self._budget.release()

    @contextmanager
    def acquire(self) -> Iterator[Session]:
        """Acquire a session; after an error it is closed, otherwise kept for the next.

        Raises:
            SourceError: No session can be opened.
        """
        session = self._take()
        key = id(session)
        self._checked_out[key] = session
        try:
            with self._cancel_on_stop(session):
                yield session
        except BaseException:
            self.close_session(session)
            raise
        finally:
            self._checked_out.pop(key, None)
        with self._lock:
            self._idle.append(session)

    @contextmanager
    def dedicated(self) -> Iterator[Session]:
        """Open a session that is in no snapshot and is closed at the end.

        Raises:
            SourceError: No session can be opened.
        """
        session = self._connect_patiently()
        try:
            yield session
        finally:
            self.close_session(session)

    def cancel_all(self) -> None:
        """Cancel what acquired sessions run, for good; callable from any thread."""
        self.is_cancelled = True
        for session in tuple(self._checked_out.values()):
            session.cancel()

    def _is_stopped(self) -> bool:
        return self.is_cancelled or (self._stop is not None and self._stop.is_set)

    def _take(self) -> Session:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connect_patiently()

    def _connect_patiently(self) -> Session:
        if self._checked_out or self._idle or self._reserved:
            return self._connect()  # what the limit leaves may be held by this very export
        return wait_for_slot(
            self._connect,
            limit_s=self._settings.connect_timeout_s,
            is_stopped=self._is_stopped,
            on_wait=self._settings.on_wait,
        )

    def _connect(self) -> Session:
        self._budget.acquire(END_WAIT_S, self._is_stopped, for_ends=True)
        try:
            session = self.engine.connect(self._address, self._settings)
            session.__enter__()
        except BaseException:
            self._budget.release()
            raise
        with self._lock:
            self.opened += 1
        return session

    @contextmanager
    def _cancel_on_stop(self, session: Session) -> Iterator[None]:
        if self._stop is None:
            yield
            return
        self._stop.check()
        with self._stop.cancelling(session.cancel):
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        is_hurried = error is not None and not isinstance(error, Exception)
        self.close(is_hurried=is_hurried)

    def close(self, *, is_hurried: bool = False) -> None:
        """Close the sessions that nobody has acquired. Safe to call twice.

        Args:
            is_hurried: Whoever waits for it was asked to stop.
        """
        for session in (*self._idle, *self._reserved):
            self.close_session(session)
        self._budget.await_ends(
            lambda: is_hurried or self._is_stopped(), self._settings.on_wait or _tell_nobody
        )


def _tell_nobody(_text: str) -> None:
    pass
