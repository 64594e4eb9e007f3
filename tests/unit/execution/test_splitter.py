"""Splitting a chunk that runs long: what is taken, what is kept, and what stops nobody."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rivet.errors import RefusedError, SourceInterruptedError, StateError, StateLockedError
from rivet.execution.pool.splitting import AFTER_VARIABLE, LONG_S, Splitter
from rivet.execution.snapshot.holder import SnapshotHolder
from rivet.execution.snapshot.sessions import SessionPool
from rivet.model.chunk import Chunk, Claim
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings
from rivet.model.span import Span, SpanKind
from support.stubengine import ADDRESS, FakeClock, StubEngine


class Stream:
    """Gives what is behind a place, as long as it has not come that far."""

    def __init__(self, *places):
        self.places, self.kept_all = list(places), 0

    def split_off(self, look, commit):
        assert look
        if not self.places:
            return None
        span = Span(SpanKind.KEY, ("id",), lower=(self.places[0],), takes_lower=True)
        try:
            commit(span)
        except BaseException:
            self.kept_all += 1
            raise
        self.places.pop(0)
        return span


class State:
    """Records splits, or fails."""

    def __init__(self):
        self.failures, self.splits = [], []

    def split_chunk(self, claim, kept, given):
        if self.failures:
            raise self.failures.pop(0)
        self.splits.append((claim.chunk.index, kept, given))


def claim(index):
    span = Span(SpanKind.KEY, ("id",), lower=("0",), upper=("100",), takes_lower=True)
    return Claim("r1", "orders", Chunk(index, span), 1)


@pytest.fixture(params=[{}, {AFTER_VARIABLE: "3000"}])
def world(request):
    env = request.param
    engine, clock, state, events = StubEngine(), FakeClock(), State(), []
    snapshots = SnapshotHolder(SessionPool(engine, ADDRESS, SessionSettings()))
    plan = SimpleNamespace(relation=Relation(schema=None, table="t"), export_name="orders")
    context = SimpleNamespace(state=state, emit=events.append, env=env)
    splitter = Splitter(SimpleNamespace(plan=plan), snapshots, context, 2, clock=clock)
    return SimpleNamespace(
        splitter=splitter, engine=engine, clock=clock, state=state, events=events
    )


def test_the_one_that_has_run_longest_gives(world):
    world.splitter.begin(claim(0), Stream("50"))
    world.clock.sleep(1)
    world.splitter.begin(claim(1), Stream("70"))
    assert world.splitter.steal() is None
    world.clock.sleep(LONG_S)
    taken = world.splitter.steal()
    assert taken.index == 2
    assert (taken.span.lower, taken.span.upper, taken.span.takes_lower) == (("50",), ("100",), True)
    kept = world.splitter.chunk_now(claim(0).chunk).span
    assert (kept.lower, kept.upper, kept.takes_upper) == (("0",), ("50",), False)
    assert [event.total_chunks for event in world.events] == [3]
    assert world.splitter.steal().span.lower == ("70",)
    world.splitter.end(claim(0))
    assert world.splitter.steal() is None


@pytest.mark.parametrize(
    "error", [StateLockedError("the state store is held"), RefusedError("the chunk is over")]
)
def test_a_split_that_is_not_recorded_leaves_all_as_it_is(world, error):
    stream = Stream("50")
    world.splitter.begin(claim(0), stream)
    world.clock.sleep(LONG_S)
    world.state.failures = [error]
    assert world.splitter.steal() is None
    assert stream.kept_all == 1
    assert world.splitter.chunk_now(claim(0).chunk) == claim(0).chunk
    assert world.events == []
    assert len(world.engine.open) == 1  # nothing is wrong with the session
    assert world.splitter.steal().index == 2


def test_a_record_that_may_have_been_made_is_no_small_matter(world):
    world.splitter.begin(claim(0), Stream("50"))
    world.clock.sleep(LONG_S)
    world.state.failures = [StateError("the server went away")]
    with pytest.raises(StateError):
        world.splitter.steal()


def test_a_session_that_is_lost_takes_nothing(world):
    class Lost(Stream):
        def split_off(self, look, commit):
            raise SourceInterruptedError("cut")

    world.splitter.begin(claim(0), Lost())
    world.clock.sleep(LONG_S)
    assert world.splitter.steal() is None
    assert world.engine.open == []
