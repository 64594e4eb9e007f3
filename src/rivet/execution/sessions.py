"""Sessions for one export: planning's session is read from too; a broken one is replaced."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rivet.errors import RivetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rivet.model.source import SessionSettings, SourceAddress
    from rivet.sources.base import Engine, Session


class Sessions:
    """Opens sessions on one address and keeps at most one idle."""

    def __init__(self, engine: Engine, address: SourceAddress, settings: SessionSettings) -> None:
        self._engine = engine
        self._address = address
        self._settings = settings
        self._idle: Session | None = None

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
        try:
            yield session
        except BaseException:
            _close_quietly(session)
            raise
        self._idle = session

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
