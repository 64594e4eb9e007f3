"""Snapshots that the sessions of one export share: begun, joined, renewed, kept alive, aged.

A session that is lost takes its own view with it, and what may come after that depends on whether
the chunks hold the same rows in every snapshot.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import SourceError, SourceInterruptedError
from rivet.model.source import Snapshot
from rivet.sources.abilities import ExportsSnapshots, ProvesInstants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rivet.execution.snapshot.sessions import SessionPool
    from rivet.model.relation import Relation
    from rivet.model.source import Position, SharedSnapshot
    from rivet.sources.base import Session

PING_S: Final = 20.0
"""How often a session that only holds a snapshot is asked for something small."""


class SnapshotHolder:
    """Brings the sessions of a pool into one snapshot and keeps them there.

    Args:
        sessions: The pool.
        imported: A snapshot that another session holds for all exports; None without one.
        clock: Seconds that only go on.
        wall_clock: Seconds since the epoch; compared once with when `imported` began.
        ping_s: How often the anchor is asked for something small.

    Attributes:
        sessions: The pool.
        begun: How many snapshots were begun or entered so far.
    """

    def __init__(
        self,
        sessions: SessionPool,
        imported: SharedSnapshot | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        ping_s: float = PING_S,
    ) -> None:
        self.sessions = sessions
        self.begun = 0
        self._imported = imported
        self._clock, self._wall_clock, self._ping_s = clock, wall_clock, ping_s
        self._lock = threading.RLock()
        self._anchor: Session | None = None
        self._shared: Snapshot | None = None
        self._seen_by: dict[int, Snapshot] = {}
        self._is_held = False
        self._may_renew = True
        self._began_at: dict[int, float] = {}
        self._pinged_at = 0.0
        sessions.on_close = self._forget

    @property
    def is_held(self) -> bool:
        """Whether reads share a snapshot that is held."""
        return self._is_held

    @property
    def is_imported(self) -> bool:
        """Whether what is read in is another session's snapshot."""
        return self._imported is not None

    @property
    def age_s(self) -> float:
        """How long the oldest snapshot that still is held has been, by whomever; 0 without one."""
        with self._lock:
            held = {one.number for one in self._seen_by.values()}
            if self._shared is not None and (self._anchor or self._imported):
                held.add(self._shared.number)
            began = [self._began_at[number] for number in held]
        return self._clock() - min(began) if began else 0.0

    def gather(self, workers: int, *, dedicated: int = 0) -> int:
        """Make sure of sessions, see `SessionPool.gather`; with one that may only hold."""
        can_rejoin = self.sessions.engine.CAPABILITIES.rejoins_snapshot
        spare = int(can_rejoin and not self.is_imported)
        return self.sessions.gather(workers, spare=spare, dedicated=dedicated)

    def begin(self, relation: Relation, workers: int, *, may_renew: bool) -> Snapshot:
        """Bring enough sessions for `workers` threads into one snapshot, and keep them there.

        Args:
            relation: What will be read.
            workers: Sessions checked out at the same time, as `SessionPool.gather` found them.
            may_renew: A session that replaces a lost one may begin a snapshot of its own.

        Raises:
            SourceError: The sessions cannot be opened or brought into one snapshot; all that were
                asked are closed, so that the next attempt has fresh ones.
        """
        with self._lock:
            if self._imported is not None:
                return self._begin_imported(self._imported)
            can_rejoin = self.sessions.engine.CAPABILITIES.rejoins_snapshot and workers > 1
            # More than are wanted would have to be brought into the snapshot too.
            first, *others = self.sessions.between(workers, workers + can_rejoin)
            try:
                position = first.begin(relation, others)
            except SourceError:
                self.sessions.between(0, 0)
                raise
            self._is_held, self._may_renew = True, may_renew
            self._pinged_at = self._clock()
            self._shared = self._next(position)
            self._seen_by = dict.fromkeys(map(id, (first, *others)), self._shared)
            # One that does nothing else, where there are enough, lets lost ones come back.
            if can_rejoin and len(others) >= workers:
                self._anchor = first
                self.sessions.reserve(first)
            return self._shared

    def _begin_imported(self, imported: SharedSnapshot) -> Snapshot:
        """Have every session enter the snapshot of somebody else before it reads."""
        self._is_held, self._may_renew = True, False
        elapsed_s = 0.0
        if imported.began_at_s is not None:
            elapsed_s = max(self._wall_clock() - imported.began_at_s, 0.0)
        self._shared = self._next(imported.position, elapsed_s)
        return self._shared

    def _next(self, position: Position | None, elapsed_s: float = 0.0) -> Snapshot:
        self.begun += 1
        self._began_at[self.begun] = self._clock() - elapsed_s
        return Snapshot(self.begun, position)

    def unproven(self, relation: Relation) -> str | None:
        """Return why what is read in a held snapshot may not be of one instant; None where it is.

        Raises:
            SourceError: The source cannot be asked.
        """
        with self.sessions.acquire() as session:
            return session.unproven(relation) if isinstance(session, ProvesInstants) else None

    @contextmanager
    def reading(self, relation: Relation) -> Iterator[tuple[Session, Snapshot]]:
        """Acquire a session together with the snapshot it reads in.

        Without a held snapshot, each read has its own.

        Raises:
            SourceError: No session can be opened.
            SourceInterruptedError: The shared snapshot is lost and another one would not do.
        """
        with self.sessions.acquire() as session:
            if not self._is_held:
                # Asked before the snapshot: whoever follows the log from there misses nothing.
                with self._lock:
                    self.begun += 1
                    number = self.begun
                yield session, Snapshot(number, session.position())
                return
            yield session, self.join(session, relation)

    def join(self, session: Session, relation: Relation) -> Snapshot:
        """Return the snapshot a session is in, after bringing it into the shared one or a new one.

        Raises:
            SourceError: It cannot enter.
            SourceInterruptedError: The shared snapshot is lost and another one would not do.
        """
        with self._lock:
            known, shared = self._seen_by.get(id(session)), self._shared
            if known is not None:
                return known
            if shared is not None and self._joins_anchor(session, relation):
                self._seen_by[id(session)] = shared
                return shared
            if shared is not None and self._imported and isinstance(session, ExportsSnapshots):
                session.import_snapshot(relation, self._imported)
                self._seen_by[id(session)] = shared
                return shared
            return self._renew(session, relation)

    def _joins_anchor(self, session: Session, relation: Relation) -> bool:
        """Bring a session into the anchor's snapshot; False where the anchor is gone."""
        if self._anchor is None:
            return False
        try:
            self._anchor.begin(relation, [session])
        except SourceError:
            if self._anchor_answers():
                raise
            return False
        return True

    def _renew(self, session: Session, relation: Relation) -> Snapshot:
        if not self._may_renew:
            msg = "the session that held the instant is lost, and rows may have moved since"
            hint = "run it again; it starts over"
            raise SourceInterruptedError(msg, hint=hint)
        snapshot = self._next(session.begin(relation))
        self._seen_by[id(session)] = snapshot
        return snapshot

    def ping(self) -> None:
        """Ask the session that only holds the snapshot for something small, now and then.

        An anchor that does not answer is let go of: sessions in its snapshot stay in it.
        """
        with self._lock:
            now = self._clock()
            if self._anchor is not None and now - self._pinged_at >= self._ping_s:
                self._pinged_at = now
                self._anchor_answers()

    def _anchor_answers(self) -> bool:
        if self._anchor is None:
            return False
        try:
            self._anchor.ping()
        except SourceError:
            lost, self._anchor = self._anchor, None
            self.sessions.close_session(lost)
            return False
        return True

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._seen_by.pop(id(session), None)  # the number may be that of another object soon
