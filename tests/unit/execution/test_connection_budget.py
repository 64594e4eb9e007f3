"""The budget of connections: how it is divided, and that nobody takes one more."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from rivet.errors import ConnectionLimitError, SourceInterruptedError
from rivet.execution.snapshot.budget import ConnectionBudget, ConnectionShares, shares_of
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import SessionPool
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings
from support.stubengine import ADDRESS, StubEngine

TABLE = Relation(schema=None, table="t")


class End:
    """The server's end of a session that is closed: over once it is asked so often."""

    def __init__(self, looks):
        self.looks, self.is_closed = looks, False

    def is_over(self):
        self.looks -= 1
        return self.looks <= 0

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize(
    ("limit", "concurrent", "held", "shares"),
    [
        (5, 1, 0, (5,)),
        (5, 2, 1, (2, 2)),
        (5, 2, 0, (3, 2)),
        (5, 3, 0, (2, 2, 1)),
        (9, 4, 1, (2, 2, 2, 2)),
        (2, 3, 1, (1, 1, 1)),  # there are never so many at a time
        (5, 0, 0, (5,)),
    ],
)
def test_a_limit_is_divided_without_rest(limit, concurrent, held, shares):
    assert shares_of(limit, concurrent=concurrent, held=held) == shares


def test_whoever_begins_has_the_largest_share_that_is_free():
    shares = ConnectionShares(5, concurrent=3)
    assert [shares.acquire(name) for name in "abc"] == [2, 2, 1]
    shares.release("a")
    shares.release("c")
    shares.release("c")
    shares.release("never begun")
    assert [shares.acquire(name) for name in "de"] == [2, 1]
    assert ConnectionShares(None, concurrent=3).acquire("a") is None


def test_a_place_is_waited_for_until_somebody_gives_one_up():
    budget = ConnectionBudget(1)
    budget.acquire()
    with pytest.raises(ConnectionLimitError, match="the one of the connections"):
        budget.acquire()
    with pytest.raises(ConnectionLimitError):
        budget.acquire(60, lambda: True)
    threading.Timer(0.05, budget.release).start()
    budget.acquire(5)
    with budget.beside() as is_allowed:
        assert not is_allowed
    budget.release()
    with budget.beside() as is_allowed:
        assert is_allowed
        assert budget.left == 0
    assert (budget.left, budget.most) == (1, 1)


@pytest.mark.parametrize(("limit", "is_waited_for"), [(1, False), (2, False), (3, True)])
def test_cancelling_waits_only_for_a_place_that_was_kept(limit, is_waited_for):
    budget = ConnectionBudget(limit)
    for _ in range(limit):
        budget.acquire()
    threading.Timer(0.05, budget.release).start()
    with budget.beside() as is_allowed:
        assert is_allowed == is_waited_for


@pytest.mark.parametrize(
    ("limit", "workers", "dedicated", "cancels", "room", "is_watched"),
    [
        (5, 8, 1, False, 4, True),
        (5, 8, 1, True, 3, True),
        (5, 8, 0, False, 5, False),
        (3, 8, 1, True, 2, False),
        (2, 8, 1, True, 2, False),
        (1, 8, 1, True, 1, False),
        (9, 3, 1, False, 3, True),
    ],
)
def test_workers_leave_room_for_the_others(limit, workers, dedicated, cancels, room, is_watched):
    engine = StubEngine(cancels=cancels)
    budget = ConnectionBudget(limit)
    pool = SessionPool(engine, ADDRESS, SessionSettings(), budget=budget)
    holder = SnapshotHolder(pool)
    assert holder.gather(workers, dedicated=dedicated) == room
    if room < workers:
        assert "`max_connections` leaves this export" in (pool.refusal or "")
    holder.begin(TABLE, room, may_renew=True)
    assert pool.has_room == is_watched
    if is_watched:
        with pool.dedicated():
            assert engine.most <= limit
    pool.close()
    assert (engine.open, budget.left) == ([], limit)


def test_whatever_fails_gives_its_place_up():
    engine = StubEngine(takes=1)
    budget = ConnectionBudget(2)
    pool = SessionPool(engine, ADDRESS, SessionSettings(connect_timeout_s=0.1), budget=budget)
    with pool.acquire(), pytest.raises(ConnectionLimitError), pool.dedicated():
        pass
    with pytest.raises(SourceInterruptedError), pool.acquire():
        raise SourceInterruptedError("cut")
    assert budget.left == 2


def test_many_threads_never_hold_one_more():
    engine = StubEngine()
    pool = SessionPool(engine, ADDRESS, SessionSettings(), budget=ConnectionBudget(3))

    def work(number):
        for turn in range(20):
            with suppress(SourceInterruptedError), pool.acquire() as session:
                session.is_lost = (number + turn) % 5 == 0
                session.position()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))
    assert engine.most <= 3


def test_a_session_that_the_server_has_not_ended_keeps_its_place():
    budget, end = ConnectionBudget(1), End(3)
    budget.acquire()
    budget.keep(end)
    budget.release()
    assert budget.left == 0
    with pytest.raises(ConnectionLimitError):
        budget.acquire()
    budget.acquire(for_ends=True)  # waits without being told how long
    assert (budget.left, budget.most, end.is_closed) == (0, 1, True)
    budget.release()
    assert budget.left == 1


@pytest.mark.parametrize(("is_stopped", "said"), [(True, 0), (False, 1)])
def test_what_the_server_does_not_end_is_told_and_not_waited_for_for_ever(is_stopped, said):
    budget, end, told = ConnectionBudget(1, linger_s=0.15), End(1_000), []
    budget.acquire()
    budget.keep(end)
    budget.release()
    with pytest.raises(ConnectionLimitError):
        budget.acquire(for_ends=True)
    budget.await_ends(lambda: is_stopped, told.append)
    assert end.is_closed
    assert len(told) == said
    assert all("one connection more than `max_connections`" in text for text in told)


def test_a_pool_waits_at_its_end_for_what_the_server_runs():
    budget, told = ConnectionBudget(1), []
    settings = SessionSettings(on_wait=told.append)
    with SessionPool(StubEngine(), ADDRESS, settings, budget=budget) as pool:
        with pool.acquire() as session:
            session.settings.keep_end(end := End(4))
        assert budget.left == -1  # its own place, until it is closed, and that of the end
    assert end.is_closed
    assert (budget.left, told) == (1, [])


def test_a_pool_that_is_interrupted_waits_for_nothing():
    budget = ConnectionBudget(1)
    pool = SessionPool(StubEngine(), ADDRESS, SessionSettings(), budget=budget)
    end = End(1_000_000)
    with suppress(KeyboardInterrupt), pool, pool.acquire() as session:
        session.settings.keep_end(end)
        raise KeyboardInterrupt
    assert end.is_closed
