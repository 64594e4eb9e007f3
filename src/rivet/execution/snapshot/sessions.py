"""Sessions for one export: each chunk borrows one; broken ones are replaced, instants are kept.

An instant is what one or more sessions see together. Chunks of one export share one where that is
asked for; a session that is lost takes its own view with it, and what may come after that depends
on whether the chunks hold the same rows in every instant.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from rivet.config.resolve import resolve_source
from rivet.errors import RivetError, SourceError, SourceInterruptedError, SourceUnavailableError
from rivet.execution.snapshot.connection_limits import CONNECTIONS_LEFT, wait_for_slot
from rivet.sources import load_engine
from rivet.sources.base import ExportsSnapshots, TakesTurns
from rivet.sources.connections import CountsConnections
from rivet.sources.instants import ProvesInstants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from rivet.config.models import Config
    from rivet.config.resolve import ResolvedTuning
    from rivet.execution.stopping import StopRequest
    from rivet.model.relation import Relation
    from rivet.model.source import Position, SessionSettings, SharedSnapshot, SourceAddress
    from rivet.sources.base import Engine, Session

_ANCHOR_PING_S: Final = 20.0


def open_sessions(
    config: Config,
    tuning: ResolvedTuning,
    env: Mapping[str, str],
    stop: StopRequest | None = None,
    borrowed: SharedSnapshot | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> SessionPool:
    """Resolve the source and return its sessions; nothing is contacted yet.

    Raises:
        ConfigError: The address cannot be resolved.
    """
    address = resolve_source(config, env)
    # A whole relation is one statement in this version, so only a limit the user chose holds.
    settings = replace(tuning.session_settings(is_query=True), on_wait=on_wait)
    sessions = SessionPool(load_engine(address.engine), address, settings, stop)
    sessions.borrowed = borrowed
    return sessions


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What sessions see.

    Attributes:
        number: From 1, in the order in which a run began its instants.
        position: Its place in the source's history, where the engine has one.
    """

    number: int
    position: Position | None


class SessionPool:
    """Opens sessions on one address, lends them to one thread each and keeps them after.

    A request to stop, where there can be one, cancels what lent sessions have running.

    Attributes:
        opened: How many sessions were opened so far.
        instants: How many instants were begun so far.
        is_cancelled: Whoever reads is to end.
        refusal: Why `gather` found fewer sessions than were wanted; None where it did not.
        borrowed: An instant that another session holds for all exports; None without one.
    """

    def __init__(
        self,
        engine: Engine,
        address: SourceAddress,
        settings: SessionSettings,
        stop: StopRequest | None = None,
    ) -> None:
        self._engine = engine
        self._address = address
        self._settings = replace(settings, is_stopped=self._is_stopped)
        self._stop = stop
        self._lock = threading.RLock()
        self._idle: list[Session] = []
        self._checked_out: dict[int, Session] = {}
        self._anchor: Session | None = None
        self._shared: Snapshot | None = None
        self._instants: dict[int, Snapshot] = {}
        self._relation: Relation | None = None
        self._may_renew = True
        self._begun_at = 0.0
        self._pinged_at = 0.0
        self.opened = 0
        self.instants = 0
        self.is_cancelled = False
        self.refusal: str | None = None
        self.borrowed: SharedSnapshot | None = None

    @property
    def is_holding(self) -> bool:
        """Whether reads share an instant that is held."""
        return self._relation is not None

    @property
    def instant_age_s(self) -> float:
        """How long the shared instant has been held; 0 without one."""
        return time.monotonic() - self._begun_at if self._shared else 0.0

    def begin_shared_snapshot(
        self, relation: Relation, workers: int, *, may_renew: bool
    ) -> Snapshot:
        """Bring enough sessions for `workers` threads into one instant, and keep them there.

        Args:
            relation: What will be read.
            workers: Sessions that are lent at the same time, as `gather` found them.
            may_renew: A session that replaces a lost one may begin an instant of its own.

        Raises:
            SourceError: The sessions cannot be opened or brought into one instant.
        """
        with self._lock:
            if self.borrowed is not None:
                return self._hold_borrowed(relation, self.borrowed)
            while len(self._idle) < workers:
                self._idle.append(self._connect())
            # More than are wanted would have to be brought into the instant too.
            wanted = workers + self._engine.CAPABILITIES.rejoins_snapshot
            while len(self._idle) > wanted:
                _close_quietly(self._idle.pop())
            # One that does nothing else, where there are enough, lets lost ones come back.
            has_anchor = self._engine.CAPABILITIES.rejoins_snapshot and len(self._idle) > workers
            has_anchor = has_anchor and workers > 1
            first, *others = self._idle
            position = first.begin(relation, others)
            self._relation, self._may_renew = relation, may_renew
            self._begun_at = self._pinged_at = time.monotonic()
            self.instants += 1
            self._shared = Snapshot(self.instants, position)
            self._instants = dict.fromkeys(map(id, self._idle), self._shared)
            if has_anchor:
                self._anchor = first
                del self._idle[0]
            return self._shared

    def unproven(self, relation: Relation) -> str | None:
        """Return why what is read in a held instant may not be of one; None where it is.

        Raises:
            SourceError: The source cannot be asked.
        """
        with self.acquire() as session:
            return session.unproven(relation) if isinstance(session, ProvesInstants) else None

    def _hold_borrowed(self, relation: Relation, borrowed: SharedSnapshot) -> Snapshot:
        """Have every session enter the instant of somebody else before it reads."""
        self._relation, self._may_renew = relation, False
        self._begun_at = time.monotonic()
        self.instants += 1
        self._shared = Snapshot(self.instants, borrowed.position)
        return self._shared

    def gather(self, workers: int) -> int:
        """Make sure of a session for each of `workers` threads, as far as the source has any.

        Each is held until it reads, so that none waits for what another one has: a pooler would
        let it wait for ever. What refused the next one is in `refusal`.

        Returns:
            For how many threads there are sessions; at least 1.

        Raises:
            SourceError: The source cannot be asked, or has not a single session.
        """
        self.refusal = None
        with self.acquire() as session:
            if workers == 1:
                return 1
            wanted = workers + self._engine.CAPABILITIES.rejoins_snapshot
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
        """Let every session that was gathered read in instants of its own."""
        for session in self._idle:
            session.release()

    @contextmanager
    def acquire(self) -> Iterator[Session]:
        """Lend a session; after an error it is closed, otherwise kept for the next.

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
            with self._lock:
                self._instants.pop(key, None)  # the number may be that of another object soon
            _close_quietly(session)
            raise
        finally:
            self._checked_out.pop(key, None)
        with self._lock:
            self._idle.append(session)

    @contextmanager
    def dedicated(self) -> Iterator[Session]:
        """Open a session that is in no instant and is closed at the end.

        Raises:
            SourceError: No session can be opened.
        """
        session = self._connect_patiently()
        try:
            yield session
        finally:
            _close_quietly(session)

    @contextmanager
    def reading(self, relation: Relation) -> Iterator[tuple[Session, Snapshot]]:
        """Lend a session together with the instant it reads in.

        Without a held instant, each read has its own.

        Raises:
            SourceError: No session can be opened.
            SourceInterruptedError: The shared instant is lost and another one would not do.
        """
        with self.acquire() as session:
            if self._relation is None:
                # Asked before the snapshot: whoever follows the log from there misses nothing.
                with self._lock:
                    self.instants += 1
                    number = self.instants
                yield session, Snapshot(number, session.position())
                return
            yield session, self._instant_of(session, relation)

    def _instant_of(self, session: Session, relation: Relation) -> Snapshot:
        with self._lock:
            known, shared = self._instants.get(id(session)), self._shared
            if known is not None:
                return known
            if shared is not None and self._anchor is not None:
                self._anchor.begin(relation, [session])
                self._instants[id(session)] = shared
                return shared
            if shared is not None and self.borrowed and isinstance(session, ExportsSnapshots):
                session.borrow(relation, self.borrowed)
                self._instants[id(session)] = shared
                return shared
            if not self._may_renew:
                msg = "the session that held the instant is lost, and rows may have moved since"
                hint = "run it again; it starts over"
                raise SourceInterruptedError(msg, hint=hint)
            position = session.begin(relation)
            self.instants += 1
            self._begun_at = time.monotonic()
            self._instants[id(session)] = Snapshot(self.instants, position)
            return self._instants[id(session)]

    def cancel_all(self) -> None:
        """Cancel what lent sessions have running, for good; callable from any thread."""
        self.is_cancelled = True
        for session in tuple(self._checked_out.values()):
            session.cancel()

    def keep_alive(self) -> None:
        """Ask the session that only holds the instant for something small, now and then.

        An anchor that does not answer is let go of: sessions in its instant stay in it.
        """
        with self._lock:
            now = time.monotonic()
            if self._anchor is None or now - self._pinged_at < _ANCHOR_PING_S:
                return
            self._pinged_at = now
            try:
                self._anchor.scalar("SELECT 1")
            except SourceError:
                _close_quietly(self._anchor)
                self._anchor = None

    def _is_stopped(self) -> bool:
        return self.is_cancelled or (self._stop is not None and self._stop.is_set)

    def _take(self) -> Session:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connect_patiently()

    def _connect_patiently(self) -> Session:
        if self._checked_out or self._idle or self._anchor:
            return self._connect()  # what the limit leaves may be held by this very export
        return wait_for_slot(
            self._connect,
            limit_s=self._settings.connect_timeout_s,
            is_stopped=self._is_stopped,
            on_wait=self._settings.on_wait,
        )

    def _connect(self) -> Session:
        session = self._engine.connect(self._address, self._settings)
        session.__enter__()
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
        self.close()

    def close(self) -> None:
        """Close the sessions that nobody has borrowed. Safe to call twice."""
        for one in self._idle:
            _close_quietly(one)
        self._idle.clear()
        if self._anchor is not None:
            _close_quietly(self._anchor)
            self._anchor = None


def _close_quietly(session: Session) -> None:
    # The session failed or is done: a second error while closing it must not hide the first.
    with suppress(RivetError):
        session.__exit__(None, None, None)
