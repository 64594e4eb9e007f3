"""How many chunks at a time: what is wanted, what there is room for, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from rivet.errors import ReconcileUnverifiedError, RefusedError, SourceQueryError
from rivet.execution.context import RunOptions
from rivet.execution.progress import RunProgress
from rivet.execution.run.workers import gather_workers
from rivet.execution.snapshot.budget import ConnectionBudget
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import SessionPool
from rivet.model.plan import Mode
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings
from support.stubengine import ADDRESS, StubEngine

TABLE = Relation(schema=None, table="t")


class World:
    """One export over a stub engine; the plan names a real one for what it can."""

    def __init__(self, *, limit=None, engine=None, reconcile=False, strict=False, **plan):
        self.engine = engine or StubEngine()
        budget = ConnectionBudget(limit)
        pool = SessionPool(
            self.engine, ADDRESS, SessionSettings(connect_timeout_s=0.1), budget=budget
        )
        self.snapshots = SnapshotHolder(pool)
        self.progress = RunProgress("orders", "r1", datetime.now(UTC))
        self.context = SimpleNamespace(options=RunOptions(reconcile=reconcile), emit=lambda _: None)
        values = {"engine": "postgresql", "workers": 4, "is_apart": False, "mode": Mode.CHUNKED}
        shape = SimpleNamespace(survives_new_snapshot=True)
        plan = {"relation": TABLE, "shape": shape, "export_name": "orders", **values, **plan}
        self.job = SimpleNamespace(
            plan=SimpleNamespace(**plan),
            is_chunked=plan["mode"] is Mode.CHUNKED,
            is_adaptive=False,
            export=SimpleNamespace(strict=strict, name="orders"),
        )

    def gather(self, chunks):
        return gather_workers(self.job, chunks, self.snapshots, self.context, self.progress)


@pytest.mark.parametrize(("chunks", "workers"), [(9, 4), (3, 3), (1, 1), (0, 1)])
def test_there_are_no_more_workers_than_chunks(chunks, workers):
    world = World()
    assert world.gather(chunks) == workers
    assert world.progress.warnings == []
    assert world.snapshots.is_held == (chunks > 0)


@pytest.mark.parametrize(
    ("keys", "workers", "said"),
    [
        ({"limit": 2}, 2, "for 2 of 4 chunks at a time: `max_connections` leaves this export 2"),
        ({"engine": StubEngine(takes=3)}, 3, "for 3 of 4 chunks at a time: too many connections"),
    ],
)
def test_where_there_is_less_room_it_is_said(keys, workers, said):
    world = World(**keys)
    assert world.gather(9) == workers
    (warning,) = world.progress.warnings
    assert said in warning


def test_an_engine_of_one_session_has_one_worker():
    world = World()
    world.job.plan.engine = "sqlite"
    assert world.gather(9) == 1
    assert "SQLite is read by one session: `parallel` has no use" in world.progress.warnings


def test_sessions_that_cannot_be_brought_together_leave_one_that_is_fresh():
    world = World(engine=StubEngine(enters=False))
    assert world.gather(9) == 1
    (warning,) = world.progress.warnings
    assert "one chunk at a time instead of 4: snapshots are of one session" in warning
    (session,) = world.engine.open
    assert session is world.engine.sessions[-1]
    assert world.snapshots.begun == 1


def test_one_that_cannot_begin_is_an_error():
    world = World()

    def refuse(_relation, _others=()):
        raise SourceQueryError("no")

    with world.snapshots.sessions.acquire() as session:
        session.begin = refuse
    with pytest.raises(SourceQueryError):
        world.gather(1)


def test_chunks_apart_share_nothing():
    world = World(is_apart=True)
    assert world.gather(9) == 4
    assert not world.snapshots.is_held
    assert all(one.snapshot is None for one in world.engine.open)


@pytest.mark.parametrize("is_resumed", [True, False])
def test_a_count_of_several_instants_is_refused_before_a_session_is_asked(is_resumed):
    world = World(reconcile=True, is_apart=not is_resumed)
    world.progress.earlier_instants = int(is_resumed)
    with pytest.raises(ReconcileUnverifiedError, match="nothing was read"):
        world.gather(9)
    assert world.engine.sessions == []


@pytest.mark.parametrize("strict", [True, False])
def test_an_instant_that_is_not_proven_is_said_or_refused(strict, monkeypatch):
    world = World(strict=strict)
    monkeypatch.setattr(world.snapshots, "unproven", lambda _: "it is a view of another server")
    if strict:
        with pytest.raises(RefusedError, match="may be of several instants"):
            world.gather(9)
        return
    assert world.gather(9) == 4
    assert world.progress.instant_doubt == "it is a view of another server"
    assert world.progress.not_covered == world.progress.warnings
