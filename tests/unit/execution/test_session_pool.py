"""The pool of sessions: who has one, which are kept, which are closed."""

from __future__ import annotations

import threading

import pytest

from rivet.errors import ConnectionLimitError, SourceInterruptedError
from rivet.execution.snapshot.sessions import SessionPool
from rivet.model.source import SessionSettings
from support.stubengine import ADDRESS, StubEngine

SETTINGS = SessionSettings(connect_timeout_s=0.2)


def test_a_session_is_kept_and_one_that_failed_is_closed():
    engine = StubEngine()
    with SessionPool(engine, ADDRESS, SETTINGS) as pool:
        with pool.acquire() as first:
            pass
        with pool.acquire() as again:
            assert again is first
        with pytest.raises(SourceInterruptedError), pool.acquire():
            raise SourceInterruptedError("cut")
        assert not first.is_open
        with pool.acquire() as another, pool.acquire() as beside:
            assert len({first, another, beside}) == 3
    assert not engine.open


def test_a_dedicated_session_is_closed_at_its_end():
    engine = StubEngine()
    pool = SessionPool(engine, ADDRESS, SETTINGS)
    closed = []
    pool.on_close = closed.append
    with pool.acquire() as reads, pool.dedicated() as own:
        assert own is not reads
    assert closed == [own]
    assert engine.open == [reads]


@pytest.mark.parametrize(("takes", "workers", "room"), [(9, 3, 3), (3, 3, 3), (2, 3, 2), (1, 4, 1)])
def test_it_gathers_as_many_as_the_server_takes(takes, workers, room):
    engine = StubEngine(takes=takes)
    pool = SessionPool(engine, ADDRESS, SETTINGS)
    assert pool.gather(workers, spare=1) == room
    assert (pool.refusal is None) == (takes > workers)
    assert len(engine.open) == min(takes, workers + 1)


def test_a_full_server_is_waited_for_only_while_nobody_here_has_a_session():
    engine = StubEngine(takes=1)
    other = engine.connect(ADDRESS, SETTINGS)
    pool = SessionPool(engine, ADDRESS, SessionSettings(connect_timeout_s=5))
    threading.Timer(0.1, other.__exit__).start()
    with pool.acquire(), pytest.raises(ConnectionLimitError), pool.dedicated():
        pass


def test_cancelling_reaches_whoever_has_a_session():
    engine = StubEngine()
    pool = SessionPool(engine, ADDRESS, SETTINGS)
    with pool.acquire() as one, pool.acquire() as two:
        pool.cancel_all()
    assert (one.cancelled, two.cancelled) == (1, 1)
    assert pool.is_cancelled
    assert one.settings.is_stopped is not None
    with pool.acquire() as again:
        assert again.settings.is_stopped()
