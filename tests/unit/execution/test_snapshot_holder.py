"""The holder of a snapshot: who is in it, who comes back, what becomes of it, how old it is."""

from __future__ import annotations

import pytest

from rivet.errors import SourceInterruptedError, SourceQueryError
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import SessionPool
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings, SharedSnapshot
from support.stubengine import ADDRESS, FakeClock, StubEngine

TABLE = Relation(schema=None, table="t")


def held(engine, *, workers=3, clock=None, imported=None, may_renew=True, **keys):
    pool = SessionPool(engine, ADDRESS, SessionSettings())
    clock = clock or FakeClock()
    holder = SnapshotHolder(pool, imported, clock=clock, wall_clock=clock, **keys)
    holder.gather(workers)
    holder.begin(TABLE, workers, may_renew=may_renew)
    return holder


def read(holder):
    with holder.reading(TABLE) as (session, snapshot):
        return session, snapshot


def test_workers_read_one_snapshot_and_a_lost_session_is_replaced_inside_it():
    engine = StubEngine()
    holder = held(engine)
    assert len(engine.open) == 4  # three that read and one that only holds
    session, snapshot = read(holder)
    session.is_lost = True
    with pytest.raises(SourceInterruptedError), holder.reading(TABLE):
        session.position()
    for _ in range(4):
        again, number = read(holder)
        assert (again.snapshot, number) == (session.snapshot, snapshot)
    assert holder.begun == 1


@pytest.mark.parametrize("rejoins", [True, False])
def test_a_fallback_to_one_session_asks_a_fresh_one(rejoins):
    engine = StubEngine(rejoins=rejoins, enters=False)
    pool = SessionPool(engine, ADDRESS, SessionSettings())
    holder = SnapshotHolder(pool)
    pool.gather(3)
    with pytest.raises(SourceQueryError):
        holder.begin(TABLE, 3, may_renew=True)
    asked = list(engine.sessions)
    assert not engine.open
    holder.begin(TABLE, 1, may_renew=True)
    (session,) = engine.open
    assert session not in asked
    assert read(holder) == (session, holder.join(session, TABLE))


@pytest.mark.parametrize("enters", [True, False])
def test_all_connections_are_lost(enters):
    engine = StubEngine()
    holder = held(engine)
    engine.lose_all()
    engine.enters = enters
    for _ in range(3):
        with pytest.raises(SourceInterruptedError), holder.reading(TABLE) as (session, _):
            session.position()
    session, snapshot = read(holder)  # no ping was due
    assert (session.snapshot, snapshot.number, holder.begun) == (2, 2, 2)


def test_all_connections_are_lost_and_another_snapshot_would_not_do():
    engine = StubEngine()
    holder = held(engine, may_renew=False)
    engine.lose_all()
    for _ in range(3):
        with pytest.raises(SourceInterruptedError), holder.reading(TABLE) as (session, _):
            session.position()
    with pytest.raises(SourceInterruptedError, match="is lost, and rows may have moved"):
        read(holder)


def test_an_anchor_that_answers_is_kept_when_somebody_cannot_enter():
    engine = StubEngine()
    holder = held(engine)
    engine.enters = False
    with pytest.raises(SourceInterruptedError), holder.reading(TABLE):
        raise SourceInterruptedError("cut")
    with holder.sessions.dedicated() as fresh, pytest.raises(SourceQueryError):
        holder.join(fresh, TABLE)
    engine.enters = True
    with holder.sessions.dedicated() as fresh:
        assert holder.join(fresh, TABLE).number == 1


def test_the_anchor_is_asked_now_and_then():
    engine, clock = StubEngine(), FakeClock()
    holder = held(engine, clock=clock, ping_s=20)
    anchor = next(one for one in engine.open if one not in holder.sessions.between(3, 3))
    holder.ping()
    assert anchor.pings == 0
    clock.sleep(20)
    holder.ping()
    holder.ping()
    assert anchor.pings == 1
    anchor.is_lost = True
    clock.sleep(20)
    holder.ping()
    assert not anchor.is_open
    assert read(holder)[1].number == 1


def test_its_age_is_that_of_the_oldest_that_is_held():
    engine, clock = StubEngine(), FakeClock()
    holder = held(engine, workers=2, clock=clock)
    assert holder.age_s == 0
    clock.sleep(7)
    assert holder.age_s == 7
    engine.open[0].is_lost = True  # the anchor
    clock.sleep(20)
    holder.ping()
    with pytest.raises(SourceInterruptedError), holder.reading(TABLE):
        raise SourceInterruptedError("cut")
    with holder.sessions.dedicated() as fresh:
        assert holder.join(fresh, TABLE).number == 2
        assert holder.age_s == 27
    holder.sessions.close()
    assert holder.age_s == 0


def test_the_age_of_a_snapshot_of_the_whole_run_counts_from_its_begin():
    clock = FakeClock()
    imported = SharedSnapshot.from_json(SharedSnapshot("t", None, clock.now_s).to_json())
    clock.sleep(100)
    holder = held(StubEngine(), clock=clock, imported=imported)
    assert holder.age_s == 100
    clock.sleep(5)
    assert holder.age_s == 105
    assert read(holder)[0].snapshot == "t"


def test_a_clock_that_was_set_back_makes_no_snapshot_younger_than_new():
    clock = FakeClock()
    holder = held(StubEngine(), clock=clock, imported=SharedSnapshot("t", None, clock.now_s + 50))
    assert holder.age_s == 0
