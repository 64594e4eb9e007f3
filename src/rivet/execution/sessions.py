"""Sessions for one export: planning's session is read from too; a broken one is replaced."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rivet.config.resolve import resolve_source
from rivet.errors import RivetError
from rivet.sources import load_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from rivet.config.models import Config
    from rivet.config.resolve import ResolvedTuning
    from rivet.execution.stopping import StopRequest
    from rivet.model.source import SessionSettings, SourceAddress
    from rivet.sources.base import Engine, Session


def open_sessions(
    config: Config,
    tuning: ResolvedTuning,
    env: Mapping[str, str],
    stop: StopRequest | None = None,
) -> Sessions:
    """Resolve the source and return its sessions; nothing is contacted yet.

    Raises:
        ConfigError: The address cannot be resolved.
    """
    address = resolve_source(config, env)
    # A whole relation is one statement in this version, so only a limit the user chose holds.
    settings = tuning.session_settings(is_query=True)
    return Sessions(load_engine(address.engine), address, settings, stop)


class Sessions:
    """Opens sessions on one address and keeps at most one idle.

    A request to stop, where there can be one, cancels what a lent session has running.

    Attributes:
        opened: How many sessions were opened so far; names the one that is lent.
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
        self._settings = settings
        self._stop = stop
        self._idle: Session | None = None
        self.opened = 0

    @contextmanager
    def open(self) -> Iterator[Session]:
        """Lend a session; after an error it is closed, otherwise kept for the next.

        Raises:
            SourceError: No session can be opened.
        """
        session, self._idle = self._idle, None
        if session is None:
            session = self._engine.connect(self._address, self._settings)
            session.__enter__()
            self.opened += 1
        try:
            with self._heeding_stop(session):
                yield session
        except BaseException:
            _close_quietly(session)
            raise
        self._idle = session

    @contextmanager
    def _heeding_stop(self, session: Session) -> Iterator[None]:
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
        if self._idle is not None:
            _close_quietly(self._idle)
            self._idle = None


def _close_quietly(session: Session) -> None:
    # The session failed or is done: a second error while closing it must not hide the first.
    with contextlib.suppress(RivetError):
        session.__exit__(None, None, None)
